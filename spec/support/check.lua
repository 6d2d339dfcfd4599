-- Assertions in the words of the contract. They know the shapes of failure (nil, message, code and a raised argument
-- error) and of JSON values, and nothing of any backend. Each one blames the line of the spec that called it.
local check = {}

local CODES = {
  not_found = true, invalid = true, too_large = true, conflict = true, busy = true, timeout = true,
  unavailable = true, schema = true, full = true, readonly = true, corrupt = true, denied = true,
  unsupported = true, internal = true,
}

local function show(value)
  if type(value) == "string" then
    return #value > 200 and string.format("%q… (%d bytes)", value:sub(1, 200),
      #value) or string.format("%q", value)
  elseif type(value) == "table" then
    local parts = {}
    for key, item in pairs(value) do
      parts[#parts + 1] = ("[%s]=%s"):format(tostring(key), type(item) == "table" and "{…}" or show(item))
      if #parts == 20 then break end
    end
    return "{" .. table.concat(parts, ", ") .. "}"
  end
  return tostring(value)
end

local function show_all(...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = show((select(i, ...)))
  end
  return #parts == 0 and "nothing" or table.concat(parts, ", ")
end

check.show = show

-- A pattern of Lua, or the words themselves: ids have hyphens.
local function says(text, pattern)
  return text:find(pattern, 1, true) ~= nil or text:find(pattern) ~= nil
end

-- Lua's own, which raises the message; busted gives specs another one.
check.assert = assert

-- The results of a call that must have failed: nil, a sentence that starts with the code and matches `pattern`, the
-- code. Returns the fourth value (ids to try again with) and the message.
function check.fails(code, pattern, ...)
  local value, message, got, extra = ...
  assert(CODES[code], "no such code: " .. tostring(code))
  if value ~= nil or got ~= code or type(message) ~= "string" then
    error(("expected nil, \"%s: …\", \"%s\", got %s"):format(code, code, show_all(...)), 2)
  end
  if message:sub(1, #code + 2) ~= code .. ": " or message:find("\n", 1, true) or #message < #code + 10 then
    error(("expected one sentence that starts with \"%s: \", got %s"):format(code, show(message)), 2)
  end
  if pattern and not says(message, pattern) then
    error(("expected a message with \"%s\", got %s"):format(pattern, show(message)), 2)
  end
  return extra, message
end

local function raised(level, pattern, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then
    error(("expected an error with \"%s\", got %s"):format(pattern, show_all(table.unpack(results, 2,
      results.n))), level)
  end
  local message = results[2]
  if type(message) ~= "string" or not says(message, pattern) then
    error(("expected an error with \"%s\", got %s"):format(pattern, show(message)), level)
  end
  return message
end

-- The call raises an error whose text matches `pattern`.
function check.raises(pattern, fn, ...)
  return raised(3, pattern, fn, ...)
end

-- Calls a method as programs do, with a colon: Lua numbers the arguments of a method call without the handle.
local callers = {}

local function call_method(handle, method, ...)
  if not callers[method] then
    callers[method] = check.assert(load(([[
      local handle = ...
      local results = table.pack(handle:%s(select(2, ...)))
      return table.unpack(results, 1, results.n)]]):format(method)))
  end
  return callers[method](handle, ...)
end

-- The call raises a Lua argument error that names `name`: argument(name, function, …) or argument(name, handle,
-- "method", …).
function check.argument(name, fn, ...)
  local message
  if type(fn) == "userdata" then
    message = raised(3, name, call_method, fn, ...)
  else
    message = raised(3, name, fn, ...)
  end
  if not message:find("bad argument", 1, true) then
    error(("expected a \"bad argument\" error, got %s"):format(show(message)), 2)
  end
end

-- A mistake where the contract leaves open whether it is one of type (raised) or of value ("invalid"); in no case does
-- the call succeed.
function check.refused(pattern, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then
    if results[2] ~= nil or results[4] ~= "invalid" then
      error(("expected a refusal with \"%s\", got %s"):format(pattern,
        show_all(table.unpack(results, 2, results.n))), 2)
    end
    results[2] = results[3]
  end
  if not says(tostring(results[2]), pattern) then
    error(("expected a refusal with \"%s\", got %s"):format(pattern, show(results[2])), 2)
  end
end

local function is_array(value)
  local metatable = getmetatable(value)
  if type(metatable) == "table" and rawget(metatable, "__jsontype") == "array" then
    return true
  end
  return #value > 0
end

local function json_difference(expected, actual, path)
  if type(expected) ~= type(actual) then
    return ("%s: expected %s, got %s"):format(path, show(expected), show(actual))
  elseif type(expected) == "number" then
    -- 5 and 5.0 are equal in Lua and two things in JSON.
    if expected ~= actual or math.type(expected) ~= math.type(actual) then
      return ("%s: expected the %s %s, got the %s %s"):format(path, math.type(expected), show(expected),
        math.type(actual), show(actual))
    end
  elseif type(expected) ~= "table" then
    if expected ~= actual then
      return ("%s: expected %s, got %s"):format(path, show(expected), show(actual))
    end
  else
    if is_array(expected) ~= is_array(actual) then
      return ("%s: expected %s, got %s"):format(path, is_array(expected) and "an array" or "an object",
        is_array(actual) and "an array" or "an object")
    end
    for key, item in next, expected do
      local found = json_difference(item, rawget(actual, key), path .. "." .. tostring(key))
      if found then return found end
    end
    for key in next, actual do
      if rawget(expected, key) == nil then
        return ("%s: has the extra key %s"):format(path, show(key))
      end
    end
  end
  return nil
end

-- The same JSON value: numbers of the same kind, arrays apart from objects, nothing missing, nothing more.
function check.same_json(expected, actual, what)
  local found = json_difference(expected, actual, what or "value")
  if found then
    error(found, 2)
  end
end

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

-- An id as the library makes it: a version 7 UUID in lower case.
function check.uuid7(id)
  if type(id) ~= "string" or not id:find(UUID) or id ~= id:lower() or id:sub(15, 15) ~= "7"
    or not id:sub(20, 20):find("[89ab]") then
    error("expected a version 7 UUID, got " .. show(id), 2)
  end
end

-- A time in milliseconds of the last minute: what a clock that was read just now says.
function check.just_now(ms)
  local now = os.time() * 1000
  if math.type(ms) ~= "integer" or ms < now - 60000 or ms > now + 2000 then
    error(("expected the time now (%d), got %s"):format(now, show(ms)), 2)
  end
end

return check
