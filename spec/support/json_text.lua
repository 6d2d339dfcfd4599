-- A small JSON decoder for specs: integers stay integers, floats floats, arrays are marked, null is convstore.null.
local convstore = require "convstore"

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { ["true"] = true, ["false"] = false, null = convstore.null }

local value -- text, position -> value, position behind it

local function string_at(text, at)
  local close = at
  repeat
    close = assert(text:find('["\\]', close + 1), "a string has no end")
    local escaped = text:sub(close, close) == "\\"
    if escaped then close = close + 1 end
  until not escaped
  local raw = text:sub(at + 1, close - 1)
  assert(not raw:find("[\0-\31]"), "a control character in a string")
  raw = raw:gsub("\\(.)(%x?%x?%x?%x?)", function(c, hex)
    return c == "u" and utf8.char(tonumber(hex, 16)) or ESCAPES[c] .. hex
  end)
  return raw, close + 1
end

local function list_at(text, at, close, element)
  at = at + 1
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = element(at)
    local mark = text:sub(at, at)
    at = at + 1
    if mark == close then return at end
    assert(mark == ",", "a comma is missing: " .. text:sub(at - 20, at + 20))
  end
end

function value(text, at)
  local first = text:sub(at, at)
  if first == '"' then
    local decoded, behind = string_at(text, at)
    return decoded, behind
  elseif first == "[" then
    local list = convstore.array {}
    return list, list_at(text, at, "]", function(i)
      local element, behind = value(text, i)
      list[#list + 1] = element
      return behind
    end)
  elseif first == "{" then
    local object = {}
    return object, list_at(text, at, "}", function(i)
      local key, behind = string_at(text, i)
      assert(text:sub(behind, behind) == ":" and object[key] == nil)
      object[key], behind = value(text, behind + 1)
      return behind
    end)
  end
  local word = text:match("^%a+", at)
  if word then
    assert(WORDS[word] ~= nil, word)
    return WORDS[word], at + #word
  end
  local number = assert(text:match("^%-?%d+%.?%d*", at), "no JSON at: " .. text:sub(at, at + 20))
  return assert(number:find(".", 1, true) and tonumber(number) or math.tointeger(tonumber(number))),
    at + #number
end

-- The value of a compact JSON text.
return function(text)
  local decoded, behind = value(text, 1)
  assert(behind == #text + 1, "something behind the value")
  return decoded
end
