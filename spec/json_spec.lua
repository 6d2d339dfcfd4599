-- JSON values: what goes in comes out, number for number, and what can't be JSON never gets in.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"

local null, array = convstore.null, convstore.array

-- `value` inside n tables.
local function nested(n, value, make)
  for _ = 1, n do
    value = make(value)
  end
  return value
end

local function in_object(value) return { a = value } end
local function in_array(value) return array { value } end

local KEYS = { "a", "b", "key", "Ключ", "", "a.b", "$", "with \"quotes\"", "back\\slash", "new\nline",
  "🤖", "type", "id", "1", " " }

-- A random JSON value of at most `depth` levels of tables.
local function random_value(source, depth)
  local kind = source:int(1, depth > 0 and 9 or 6)
  if kind == 1 then
    return source:chance(50)
  elseif kind == 2 then
    return null
  elseif kind == 3 then
    return source:text(12)
  elseif kind == 4 then
    return source:chance(50) and source:bits() or source:int(-1000, 1000)
  elseif kind == 5 then
    local float
    repeat
      float = string.unpack("d", string.pack("i8", source:bits()))
    until float == float and float ~= 1 / 0 and float ~= -1 / 0 and math.abs(float) > 1e-250
    return float
  elseif kind == 6 then
    return source:int(-100000, 100000) / source:pick({ 1, 2, 10, 100, 3 })
  elseif kind == 7 then
    local list = array {}
    for i = 1, source:int(0, 5) do
      list[i] = random_value(source, depth - 1)
    end
    return list
  end
  local object = {}
  for _ = 1, source:int(0, 5) do
    object[source:chance(50) and source:pick(KEYS) or source:text(6)] = random_value(source, depth - 1)
  end
  return object
end

for _, backend in ipairs(backends) do
  describe("JSON " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, database
    end

    local chat, alice

    before_each(function()
      chat, alice = fresh()
    end)

    -- `value` as metadata of a message, read back from the database.
    local function stored(value)
      local message = assert(chat:append("user", "x", { metadata = value }))
      return assert(chat:message(message.seq)).metadata
    end

    local function keeps(value)
      check.same_json(value, stored(value))
    end

    local function refuses(value)
      check.fails("invalid", "metadata", chat:append("user", "x", { metadata = value }))
    end

    it("keeps integers of 64 bits", function()
      keeps({
        0, 1, -1, 255, 2147483647, -2147483648, 4294967296, 9007199254740991, 9007199254740992,
        9007199254740993, -9007199254740993, 175928847299117063, 1054817391283245056, math.maxinteger,
        math.mininteger, math.maxinteger - 1,
      })
    end)

    it("keeps floats as floats, to the last bit", function()
      keeps({
        0.0, 1.0, -1.0, 0.1, 0.2, 0.30000000000000004, 1 / 3, 2 / 3, 100.0, 1e15, 1e16, 1e17,
        123456789012345680.0, 2.0 ^ 53, 2.0 ^ 63, -(2.0 ^ 63), 1e21, 1e22, 1e23, 1e100, 1e300, -1e300,
        1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e-5, 1e-7, 1.5e-10, 123.456,
        3.141592653589793, 9007199254740993.0, 4.9406564584124654e-324, 1e-300, 0.5,
      })
    end)

    it("keeps a negative zero as zero at least", function()
      local zero = stored({ z = -0.0 }).z
      assert.equal(0, zero)
      assert.equal("float", math.type(zero))
    end)

    it("keeps texts of any characters", function()
      local all = {}
      for code = 1, 127 do
        all[#all + 1] = string.char(code)
      end
      keeps({ table.concat(all), "\"", "\\", "\\u0041", "/", "</script>", "\u{2028}\u{2029}", "\u{7F}\u{80}",
        "\u{FFFD}", "\u{FFFE}\u{FFFF}", "\u{10FFFF}", "👩‍👩‍👧", "", " ", "null", "true", "1",
        "\\", "\\\\", "\\n", "\t\r\n\b\f" })
    end)

    it("keeps keys of any characters", function()
      local value = {}
      for i, key in ipairs(KEYS) do
        value[key] = i
      end
      value["\u{1}\u{1F}\u{7F}"] = true
      value[("k"):rep(1000)] = false
      keeps(value)
    end)

    it("keeps null, true and false", function()
      keeps({ a = null, b = true, c = false, d = { null, true, false, null } })
      keeps({ null })
      assert.equal(null, stored({ a = null }).a)
    end)

    it("keeps empty arrays apart from empty objects", function()
      keeps({ o = {}, a = array {}, list = { {}, array {}, { array {} } } })
      keeps(array {})
      keeps({})
    end)

    it("marks every array that comes back, so that it can go in again", function()
      local first = stored({ a = array {}, b = { 1, { 2 } }, c = {} })
      assert.equal("array", getmetatable(first.a).__jsontype)
      assert.equal("array", getmetatable(first.b).__jsontype)
      assert.equal("array", getmetatable(first.b[2]).__jsontype)
      assert.is_nil(getmetatable(first))
      assert.is_nil(getmetatable(first.c))
      check.same_json(first, stored(first))
    end)

    it("knows an array by the mark of other libraries too", function()
      local marked = setmetatable({}, { __jsontype = "array" })
      check.same_json({ a = array {} }, stored({ a = marked }))
      local object = setmetatable({}, { __jsontype = "object" })
      check.same_json({ a = {} }, stored({ a = object }))
    end)

    it("calls no metamethod", function()
      local function fail() error("a metamethod was called") end
      local trap = setmetatable({ a = 1 }, {
        __index = fail, __newindex = fail, __pairs = fail, __len = fail, __call = fail, __tostring = fail,
        __eq = fail, __gc = nil })
      check.same_json({ a = 1 }, stored(trap))
      local list = setmetatable({ 1, 2 }, { __index = fail, __len = fail, __pairs = fail })
      check.same_json({ l = { 1, 2 } }, stored({ l = list }))
    end)

    it("takes a table that occurs twice", function()
      local shared = { 1 }
      check.same_json({ a = { 1 }, b = { 1 }, c = { { 1 }, { 1 } } }, stored({ a = shared, b = shared,
        c = { shared, shared } }))
    end)

    it("may be an array at the top", function()
      keeps({ 1, "two", { three = 3 } })
    end)

    it("may be nested 64 levels deep and no deeper", function()
      for _, make in ipairs({ in_object, in_array }) do
        keeps(nested(64, 1, make))
        refuses(nested(65, 1, make))
        keeps(nested(63, make == in_object and {} or array {}, make))
        refuses(nested(64, {}, make))
        refuses(nested(100000, 1, make))
      end
    end)

    it("may not hold what is no JSON", function()
      for _, value in ipairs({ print, function() end, coroutine.create(print), io.stdout, 0 / 0, 1 / 0,
        -1 / 0, chat, alice }) do
        refuses({ a = value })
        refuses({ value })
        refuses({ a = { b = { value } } })
      end
    end)

    it("may not have a cycle", function()
      local cycle = {}
      cycle.self = cycle
      refuses(cycle)
      local a, b = {}, {}
      a.b, b.a = b, a
      refuses({ a })
      local list = array {}
      list[1] = list
      refuses(list)
    end)

    it("may not have a sparse or mixed array, nor a key that is no string", function()
      refuses({ [2] = 1 })
      refuses({ 1, nil, 3 })
      refuses({ [1] = 1, [1000000] = 2 })
      refuses({ 1, 2, a = 3 })
      refuses({ a = 3, [1] = 1 })
      refuses({ [0] = 1 })
      refuses({ [-1] = 1 })
      refuses({ [1.5] = 1 })
      refuses({ [true] = 1 })
      refuses({ [null] = 1 })
      refuses({ [{}] = 1 })
      refuses(array { a = 1 })
      refuses(array { [2] = 1 })
      refuses(array { 1, nil, 3 })
      refuses({ x = { y = { 1, b = 2 } } })
    end)

    it("may not hold a NUL byte or bad UTF-8", function()
      for _, bad in ipairs({ "a\0b", "\0", "\255", "\xC3", "\xED\xA0\x80", "\xC0\x80" }) do
        refuses({ a = bad })
        refuses({ [bad] = 1 })
        refuses({ { { bad } } })
      end
      assert.same({}, assert(chat:history()))
    end)

    it("is checked in every field that holds it, and the field is named", function()
      local bad = { a = { b = print } }
      check.fails("invalid", "metadata", alice:create({ metadata = bad }))
      check.fails("invalid", "metadata", alice:conversation("k", { metadata = bad }))
      check.fails("invalid", "metadata", chat:update({ metadata = bad }))
      check.fails("invalid", "content", chat:append("user", { { type = "text", x = bad } }))
      check.fails("invalid", "tool_calls", chat:append({ role = "assistant", tool_calls = { { id = "c",
        x = bad } } }))
      check.fails("invalid", "attachments", chat:append("user", "x", { attachments = { { name = "a",
        x = bad } } }))
      assert.same({}, assert(chat:history()))
      assert.is_nil(assert(alice:conversation("k")).metadata)
    end)

    it("comes back the same in every field that holds it", function()
      local value = { n = 9007199254740993, f = 1.0, e = array {}, o = {}, z = null, s = "\u{1F916}\1" }
      local message = assert(chat:append({
        role = "assistant", content = { { type = "text", x = value } }, tool_calls = { { id = "c",
        x = value } },
        attachments = { { name = "a", x = value } }, metadata = value }))
      for _, each in ipairs({ message, assert(chat:message(1)), assert(chat:history())[1] }) do
        check.same_json(value, each.content[1].x)
        check.same_json(value, each.tool_calls[1].x)
        check.same_json(value, each.attachments[1].x)
        check.same_json(value, each.metadata)
      end
    end)

    it("comes back the same, whatever it is", function()
      for seed = 1, 200 do
        local source = random.new(seed)
        local value = { v = random_value(source, 5) }
        local first = stored(value)
        check.same_json(value, first, "seed " .. seed)
        check.same_json(value, assert(alice:create({ metadata = first })).metadata, "seed " .. seed)
      end
    end)

    it("may be long and wide", function()
      local wide = { list = {}, object = {} }
      for i = 1, 5000 do
        wide.list[i] = i
        wide.object["key " .. i] = i + 0.5
      end
      keeps(wide)
      keeps({ text = ("é"):rep(50000) })
    end)
  end)
end
