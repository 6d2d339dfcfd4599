-- Values in PostgreSQL's own types: what a person reads with psql, and what comes back whatever the server is set to.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"
local random = require "spec.support.random"

if not postgres.is_there() then return end

describe("values in PostgreSQL #postgres", function()
  after_each(backends.clean)

  local function fresh(options)
    local store, database = backends.postgres.fresh(options)
    return assert(store:user("alice"):conversation("k")), database, store
  end

  it("of a type that somebody has changed are refused with the column's name", function()
    local chat, database = fresh()
    assert(chat:append("user", "x"))
    database:sql("ALTER TABLE convstore.messages ALTER COLUMN name TYPE varchar(100)")
    check.fails("schema", "name", chat:history())
    check.fails("schema", "name", chat:message(1))
    database:sql("ALTER TABLE convstore.messages ALTER COLUMN name TYPE text")
    assert.equal(1, #assert(chat:history()))
  end)

  it("have types that a person can query", function()
    local chat, database = fresh()
    local stored = assert(chat:append({
      role = "assistant", content = { { type = "text", text = "héllo" } },
      metadata = { a = { b = 5 }, list = { 1, 2 } },
      tool_calls = { { id = "call_1", ["function"] = { name = "f", arguments = "{}" } } },
      attachments = { { name = "photo", size = 5 } }, created_at = 1700000000123,
    }))
    local expected = ("%s|%s|1|5|2|héllo|call_1|photo|1700000000123\n"):format(stored.id, chat.id)
    assert.equal(expected, database:sql([[
      SELECT id, conversation_id, seq, metadata #>> '{a,b}', jsonb_array_length(metadata -> 'list'),
             parts -> 0 ->> 'text', tool_calls -> 0 ->> 'id', attachments -> 0 ->> 'name',
             (extract(epoch FROM created_at) * 1000)::bigint FROM convstore.messages]]))
    assert.equal("bigint uuid jsonb timestamp with time zone\n", database:sql([[
      SELECT string_agg(data_type, ' ' ORDER BY column_name = 'seq' DESC, column_name = 'id' DESC,
                        column_name = 'metadata' DESC)
        FROM information_schema.columns WHERE table_schema = 'convstore' AND table_name = 'messages'
         AND column_name IN ('seq', 'id', 'metadata', 'created_at')]]))
  end)

  it("keep numbers what they were", function()
    local chat = fresh()
    local source = random.new(7)
    local numbers = {
      0, 1, -1, math.maxinteger, math.mininteger, 9007199254740993, 1234567890123456789, 0.0, 1.0, -1.5, 0.1,
      1 / 3, 1e15, 1e16, 1e21, 1e22, 1e100, 1e300, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308,
      1e-7,
      9007199254740992.0, -9223372036854775808.0, 9223372036854775808.0, 123456.789e3, math.pi,
    }
    while #numbers < 300 do
      local float = string.unpack("<d", string.pack("<i8", source:bits()))
      if float == float and math.abs(float) ~= math.huge then
        numbers[#numbers + 1] = float
      end
      numbers[#numbers + 1] = source:bits() >> source:int(0, 63)
    end
    assert(chat:append("user", "x", { metadata = { numbers = numbers } }))
    local back = assert(chat:message(1)).metadata.numbers
    for i, number in ipairs(numbers) do
      assert.equal(math.type(number), math.type(back[i]), tostring(number))
      assert.is_true(number == back[i], ("%q came back as %q"):format(number, back[i]))
    end
  end)

  it("read numbers that others have written", function()
    local chat, database = fresh()
    assert(chat:append("user", "x"))
    database:sql([[UPDATE convstore.messages SET metadata =
      '{"long": 123456789012345678901234567890, "one": 1.0, "exact": 1.50, "big": 1e300, "small": 1e-320,
        "max": 9223372036854775807, "beyond": 9223372036854775808, "negative": -9223372036854775809}']])
    -- jsonb prints 1e300 as 301 digits, an integer to see; to Lua it is a float, as any beyond 64 bits.
    check.same_json({
      long = 123456789012345678901234567890.0, one = 1.0, exact = 1.5, max = math.maxinteger, small = 1e-320,
      beyond = 9223372036854775808.0, negative = -9223372036854775809.0, big = 1e300,
    }, assert(chat:message(1)).metadata)
    database:sql([[UPDATE convstore.messages SET metadata = '{"n": 1e400}']])
    local message, _, code = chat:message(1)
    assert.is_true(message ~= nil or code == "corrupt", tostring(code))
  end)

  it("keep every kind of character", function()
    local chat, database = fresh()
    local texts = {
      "", " ", "\t\r\n\1\127", "'\"\\$$%s?:{}", "\u{FFFE}\u{FFFF}\u{10FFFF}", "e\u{301} \u{E9}",
      "\u{202E}abc", "👩‍👩‍👧 日本語",
      "\\u0000", "\\x00", "\u{FEFF}BOM", "\u{85}\u{2028}", ("😀"):rep(1000),
    }
    local source = random.new(9)
    for _ = 1, 50 do texts[#texts + 1] = source:text(200) end
    for i, text in ipairs(texts) do
      local stored = assert(chat:append("user", text, { metadata = { [text] = text, list = { text } } }))
      assert.equal(i, stored.seq)
    end
    local history = assert(chat:history())
    for i, text in ipairs(texts) do
      assert.is_true(history[i].content == text, i)
      check.same_json({ [text] = text, list = { text } }, history[i].metadata)
      local bytes = text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      assert.equal(bytes .. "\n", database:sql(([[
        SELECT encode(convert_to(content, 'UTF8'), 'hex') FROM convstore.messages
         WHERE seq = %d]]):format(i)))
    end
  end)

  it("refuse U+0000 before the server has to", function()
    local chat, _, store = fresh()
    check.fails("invalid", "content", chat:append("user", "a\0b"))
    check.fails("invalid", "metadata", chat:append("user", "x", { metadata = { a = "\0" } }))
    check.fails("invalid", "metadata", chat:append("user", "x", { metadata = { ["\0"] = 1 } }))
    check.fails("invalid", "title", chat:update({ title = "\0" }))
    check.fails("invalid", "metadata", chat:update({ metadata = { list = { "\0" } } }))
    check.fails("invalid", "key", store:user("alice"):conversation("\0"))
    assert.equal(0, #assert(chat:history()))
  end)

  it("tell keys and users apart by their bytes", function()
    local _, _, store = fresh()
    local names = { "a", "A", "á", "a\u{301}", "ａ", "ß", "ss", "SS", "ı", "i", "İ", " a", "a " }
    local ids = {}
    for _, name in ipairs(names) do
      local chat = assert(store:user("keys"):conversation(name))
      assert.is_nil(ids[chat.id], name)
      ids[chat.id] = true
      assert.equal(0, assert(store:user(name):conversation("k")).last_seq)
      assert(assert(store:user(name):conversation("k")):append("user", name))
    end
    for _, name in ipairs(names) do
      assert.equal(name, assert(assert(store:user(name):conversation("k")):message(1)).content)
    end
  end)

  it("keep times to the millisecond, from year 1970 to 9999", function()
    local chat, database, store = fresh()
    local times = { 0, 1, 999, 1000, 951782400000, 1700000000001, 1700000000123, 1700000000999, 4102444800000,
      253402300799999 }
    for i, time in ipairs(times) do
      assert.equal(time, assert(chat:append("user", "x", { created_at = time })).created_at)
      assert.equal(time, assert(chat:message(i)).created_at)
      assert.equal(time, assert(store:user("alice"):create({ created_at = time })).created_at)
    end
    local seen = database:sql([[SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
      FROM convstore.messages ORDER BY seq]])
    local expected = {}
    for i, time in ipairs(times) do expected[i] = convstore.iso8601(time) .. "\n" end
    assert.equal(table.concat(expected), seen)
    local stored = assert(chat:append("user", "now"))
    check.just_now(stored.created_at)
    assert.equal(stored.created_at, assert(chat:message(stored.id)).created_at)
    local annotated = assert(chat:annotate(1, { a = 1 }))
    assert.equal(annotated.updated_at, assert(chat:message(1)).updated_at)
    assert.equal(assert(chat:refresh()).updated_at, assert(store:user("alice"):get(chat.id)).updated_at)
  end)

  it("come back the same whatever the server, the database and the environment are set to", function()
    local database = backends.postgres.place()
    for name, value in pairs({
      TimeZone = "Asia/Kathmandu", DateStyle = "German", IntervalStyle = "iso_8601", bytea_output = "escape",
      extra_float_digits = -15, standard_conforming_strings = "off", search_path = "nowhere",
      client_encoding = "LATIN1", default_transaction_isolation = "repeatable read",
      statement_timeout = "1min", transform_null_equals = "on",
      default_transaction_deferrable = "on", array_nulls = "off", quote_all_identifiers = "on",
      plan_cache_mode = "force_generic_plan", enable_indexscan = "off", jit = "off", xmloption = "document",
    }) do
      database:sql(("ALTER DATABASE %s SET %s = '%s'"):format(database.server_database.name, name, value))
    end
    local store = database:open()
    local chat = assert(store:user("alice"):conversation("k\\'é"))
    local first = assert(chat:append({ role = "user", content = "é\\'\n", created_at = 1700000000123,
      metadata = { f = 0.1, s = "\\", big = 1e300 } }))
    assert.equal(1700000000123, first.created_at)
    local many = assert(chat:append_many({ { role = "user", content = "NULL" },
      { role = "user", content = "a,{}\"\\'" },
      { role = "assistant", tool_calls = { { id = "x" } } } }))
    local history = assert(assert(database:open():user("alice"):conversation("k\\'é")):history())
    check.same_json(first, history[1])
    assert.equal("é\\'\n", history[1].content)
    assert.equal(0.1, history[1].metadata.f)
    assert.equal(1e300, history[1].metadata.big)
    assert.equal("NULL", history[2].content)
    assert.equal("a,{}\"\\'", history[3].content)
    assert.is_nil(history[4].content)
    check.same_json(many[3], history[4])
    assert(chat:annotate(2, { a = 1 }))
    assert(chat:update({ metadata = { a = 1 }, merge = true }))
  end)

  it("merge as RFC 7396 says", function()
    local chat = fresh()
    local null = convstore.null
    assert(chat:append("user", "x"))
    -- The examples of its appendix A that are objects.
    for _, case in ipairs({
      { { a = "b" }, { a = "c" }, { a = "c" } }, { { a = "b" }, { b = "c" }, { a = "b", b = "c" } },
      { { a = "b" }, { a = null }, {} }, { { a = "b", b = "c" }, { a = null }, { b = "c" } },
      { { a = { "b" } }, { a = "c" }, { a = "c" } }, { { a = "c" }, { a = { "b" } }, { a = { "b" } } },
      { { a = { b = "c" } }, { a = { b = "d", c = null } }, { a = { b = "d" } } },
      { { a = { { b = "c" } } }, { a = { 1 } }, { a = { 1 } } },
      { { e = null }, { a = 1 }, { e = null, a = 1 } },
      { { a = "foo" }, { b = { c = null } }, { a = "foo", b = {} } },
      { {}, { a = { bb = { ccc = null } } }, { a = { bb = {} } } },
    }) do
      assert(chat:update({ metadata = case[1] }))
      check.same_json(case[3], assert(chat:update({ metadata = case[2], merge = true })).metadata or {})
      check.same_json(case[3], assert(chat:refresh()).metadata or {})
    end
  end)
end)
