-- Random arguments of every type for the fuzzer of methods. It knows no method: names of options and fields are read
-- from the binding's sources, ids and cursors are what earlier answers held.
local convstore = require "convstore"

local values = {}
values.__index = values

-- What a hook or callback of ours raises; anything else that is raised must be an argument error.
values.RAISED = "raised by the fuzzer"

-- Names of options and fields, as the binding's tables of fields spell them.
local function field_names()
  local names = {}
  for _, file in ipairs { "lua_context", "lua_conversation", "lua_fork", "lua_history", "lua_lists",
    "lua_messages", "lua_operators", "lua_retention", "lua_search", "lua_store", "lua_user" } do
    for line in io.lines("csrc/binding/" .. file .. ".c") do
      names[#names + 1] = line:match('FIELD[_OF]*%("([%w_]+)"')
    end
  end
  assert(#names > 50, "the names of options are not where they were")
  return names
end

local NAMES = field_names()

local WORDS = { "user", "assistant", "system", "developer", "tool", "active", "archived", "closed", "updated",
  "created", "asc", "desc", "day", "conversation", "openai", "anthropic", "any", "full", "normal", "strict",
  "replace", "auto", "key", "telegram:7", "", "x", "hello world", "paper jam", '"paper jam" -toner',
  "你好世界", "\0", "a\0b", "\xff\xfe", "\xed\xa0\x80", "%s%n", "null", "{}", "users(id)", ("long "):rep(500) }

local INTEGERS = { 0, 1, -1, 2, 3, 5, 20, 64, 255, 256, 1000, 1001, 1769903999123, 253402300799999,
  253402300800000, 2 ^ 31 | 0, 1 << 53, math.maxinteger, math.mininteger }
local FLOATS = { 0.0, -0.0, 0.5, 1.0, 3.0, 1e300, 5e-324, 2.0 ^ 53, 2.0 ^ 63, 1 / 0, -1 / 0, 0 / 0 }

-- `random`: spec/support/random.lua. `callback` makes a function that does something unfriendly.
function values.new(random, callback)
  return setmetatable({
    random = random,
    callback = callback,
    names = NAMES,
    ids = { convstore.uuid() },
    cursors = { "AQoAAAF" },
    handles = {},
  }, values)
end

-- Keeps something to be used again, in one of a fixed number of places.
function values:keep(list, value)
  list[#list < 24 and #list + 1 or self.random:int(1, 24)] = value
end

function values:string()
  local random = self.random
  local kind = random:int(1, 10)
  if kind <= 5 then return random:pick(WORDS) end
  if kind <= 7 then return random:pick(self.ids) end
  if kind == 8 then return random:pick(self.cursors) end
  if kind == 9 then return random:text(20) end
  return random:bytes(random:int(0, 20))
end

function values:number()
  local random = self.random
  local kind = random:int(1, 4)
  if kind == 1 then return random:pick(FLOATS) end
  if kind == 2 then return random:pick(INTEGERS) end
  return random:int(0, 12)
end

-- What the binding itself has said in argument errors: which options a method does not have, which type an option or
-- an argument is of. So calls get deeper with time, of new methods too.
local lessons = { unknown = {}, options = {}, arguments = {} }

function values.learn(method, message)
  local unknown = message:match('unknown %l+ "([%w_]+)"')
  if unknown then lessons.unknown[method .. "." .. unknown] = true end
  local option, of_type = message:match('%l+ "([%w_]+)": (%l+).- expected')
  if option then lessons.options[option] = of_type end
  local place
  place, of_type = message:match("bad argument #(%d+) to .- %((%l+).- expected")
  if place then lessons.arguments[method .. "#" .. place] = of_type end
end

-- A value of a type, as an argument error names it; any other where it names none that we know.
function values:of_type(name, depth)
  local random = self.random
  if name == "integer" or name == "number" then return math.abs(random:int(-2, 12)) end
  if name == "string" then return self:string() end
  if name == "boolean" then return random:chance(50) end
  if name == "table" then return self:table(depth) end
  if name == "function" then return self.callback() end
  if name == "array" then return self:array(depth) end
  return self:any(depth)
end

-- An argument of a method, by its place: often of the right type.
function values:argument(method, place)
  self.method = method
  local of_type = lessons.arguments[method .. "#" .. place]
  if of_type and self.random:chance(85) then return self:of_type(of_type, 1) end
  return self:any(1)
end

-- A table of options or fields: each name with a value that often fits.
function values:options(depth)
  local random = self.random
  local out = {}
  for _ = 1, random:int(0, 4) do
    local name
    local tries = random:chance(90) and 30 or 1
    repeat
      name = random:pick(self.names)
      tries = tries - 1
    until tries == 0 or not lessons.unknown[(self.method or "") .. "." .. name]
    if random:chance(85) then
      out[name] = self:of_type(lessons.options[name], depth + 1)
    else
      out[name] = self:any(depth + 1)
    end
  end
  return out
end

-- A message that is often good.
function values:message(depth)
  local random = self.random
  local message = { role = random:pick { "user", "assistant", "system", "tool" }, content = self:string() }
  if random:chance(20) then
    message.tool_calls = { { id = "c" .. random:int(1, 3), type = "function",
      ["function"] = { name = "f", arguments = self:string() } } }
  end
  if random:chance(20) then message.tool_call_id = "c" .. random:int(1, 3) end
  if random:chance(20) then message.content = { { type = "text", text = self:string() } } end
  if random:chance(30) then message[random:pick(self.names)] = self:any(depth + 1) end
  if random:chance(10) then message.id = random:pick(self.ids) end
  return message
end

function values:array(depth)
  local out = {}
  for i = 1, self.random:int(0, 5) do
    out[i] = self.random:chance(50) and self:message(depth) or self:any(depth + 1)
  end
  return self.random:chance(20) and convstore.array(out) or out
end

-- Gives a table metamethods that raise, yield or call back. None but __gc may ever be run by the binding.
function values:hook(t)
  local meta = {}
  for _, name in ipairs { "__index", "__newindex", "__pairs", "__len", "__call", "__eq", "__tostring",
    "__close", "__name", "__jsontype", "__metatable", "__gc" } do
    if self.random:chance(40) then
      meta[name] = self.random:chance(80) and self.callback() or self:any(9)
    end
  end
  return setmetatable(t, meta)
end

function values:table(depth)
  local random = self.random
  local kind = random:int(1, 10)
  local out
  if kind <= 4 then
    out = self:options(depth)
  elseif kind <= 6 then
    out = self:array(depth)
  elseif kind <= 8 then
    out = self:message(depth)
  else
    out = {}
    for _ = 1, random:int(0, 6) do
      local key = self:any(depth + 1)
      if key ~= nil and key == key then out[key] = self:any(depth + 1) end
    end
  end
  if random:chance(5) then out.self = out end
  if random:chance(15) then self:hook(out) end
  return out
end

-- What may lie in a JSON value, and comes back as it was.
function values:json(depth)
  local random = self.random
  local kind = random:int(1, depth > 5 and 5 or 8)
  if kind == 1 then return random:chance(50) end
  if kind == 2 then return random:pick(INTEGERS) end
  if kind == 3 then return random:pick { 0.5, 1.0, 1e15, -2.5, 123456789.125 } end
  if kind == 4 then return convstore.null end
  if kind == 5 then return random:text(12) end
  local out = {}
  for i = 1, random:int(0, 4) do
    if kind == 6 then
      out[i] = self:json(depth + 1)
    else
      out[random:text(6)] = self:json(depth + 1)
    end
  end
  return kind == 6 and convstore.array(out) or out
end

function values:any(depth)
  local random = self.random
  local kind = random:int(1, 40)
  if kind <= 14 then return self:string() end
  if kind <= 24 then return self:number() end
  if kind <= 32 and depth < 4 then return self:table(depth) end
  if kind == 33 then return nil end
  if kind == 34 then return true end
  if kind == 35 then return false end
  if kind == 36 then return convstore.null end
  if kind == 37 then return self.callback() end
  if kind == 38 then return coroutine.create(self.callback()) end
  if kind == 39 then return io.stdout end
  return random:pick(self.handles)
end

return values
