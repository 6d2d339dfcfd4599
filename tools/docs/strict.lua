--- Loaded ahead of an example's Lua code: it makes failures and outputs count. See tools/docs/run_blocks.lua.
-- An example may drop what a call returns, so a call that fails is remembered here by its code; an example that shows
-- a failure names that code in its text. CONVSTORE_EXAMPLE is the file that the example's own text is in.

local core = require "convstore.core"
local convstore = require "convstore"

local file = assert(io.open(os.getenv("CONVSTORE_EXAMPLE"), "rb"))
local text = file:read("a")
file:close()

local unexpected = {}

local function watched(name, f)
  local function look(...)
    local result, message, code = ...
    if result == nil and type(message) == "string" and type(code) == "string" and
      not text:find("%f[%w_]" .. code .. "%f[^%w_]") then
      unexpected[#unexpected + 1] = name .. ": " .. message
    end
    return ...
  end
  return function(...)
    return look(f(...))
  end
end

for type_name, methods in pairs({ convstore = convstore, store = core.store, user = core.user,
  conversation = core.conversation }) do
  for name, f in pairs(methods) do
    if type(f) == "function" then
      methods[name] = watched(type_name .. "." .. name, f)
    end
  end
end

-- At the end of the program, when its variables are closed: a failure that the example did not speak of ends it badly.
local at_end = setmetatable({}, { __gc = function()
  if #unexpected > 0 then
    io.stderr:write("a call failed, and the example does not name its code: ", table.concat(unexpected, "; "),
      "\n")
    os.exit(1)
  end
end })
debug.getregistry()[at_end] = true
