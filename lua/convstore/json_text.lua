--- A Lua value as one line of JSON: the library's own rules, for what the command prints.
-- It knows tables as convstore gives them: arrays that come back are marked, integers are integers, convstore.null is
-- null. Keys stand in the order of their bytes, so that the same value always gives the same text.

local convstore = require "convstore"

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\",
  ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escape(character)
  return ESCAPES[character] or ("\\u%04x"):format(character:byte())
end

local function escape_c1(character)
  return ("\\u%04x"):format(utf8.codepoint(character))
end

-- The control characters behind ASCII steer some terminals, and JSON need not have them raw.
local function string_text(text)
  text = text:gsub('[%c"\\]', escape):gsub("\xC2[\x80-\x9F]", escape_c1)
  return '"' .. text .. '"'
end

-- The shortest of two ways that gives the same number back.
local function float_text(number)
  if number ~= number or number == math.huge or number == -math.huge then
    error("JSON has no such number: " .. tostring(number), 0)
  end
  local text = ("%.15g"):format(number)
  if tonumber(text) ~= number then
    text = ("%.17g"):format(number)
  end
  return (text:find("[.e]") and text or text .. ".0")
end

local function is_array(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__jsontype") == "array" or #value > 0
end

local add -- add(parts, value): the value's text, piece by piece

local function add_array(parts, array)
  for i = 1, #array do
    parts[#parts + 1] = i == 1 and "[" or ","
    add(parts, array[i])
  end
  parts[#parts + 1] = #array == 0 and "[]" or "]"
end

local function add_object(parts, object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[#parts + 1] = i == 1 and "{" or ","
    parts[#parts + 1] = string_text(key)
    parts[#parts + 1] = ":"
    add(parts, object[key])
  end
  parts[#parts + 1] = #keys == 0 and "{}" or "}"
end

function add(parts, value)
  local kind = type(value)
  if kind == "table" then
    (is_array(value) and add_array or add_object)(parts, value)
  elseif kind == "string" then
    parts[#parts + 1] = string_text(value)
  elseif kind == "number" then
    parts[#parts + 1] = math.type(value) == "integer" and ("%d"):format(value) or float_text(value)
  elseif value == convstore.null then
    parts[#parts + 1] = "null"
  elseif kind == "boolean" then
    parts[#parts + 1] = tostring(value)
  else
    error("JSON has no " .. kind, 0)
  end
end

--- The JSON text of a value, without a line's end.
---@param value any what convstore gives: tables, strings, numbers, booleans, convstore.null
---@return string
return function(value)
  local parts = {}
  add(parts, value)
  return table.concat(parts)
end
