-- convstore.open: what it takes, what it refuses, and where it looks without a DSN.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local shell = require "spec.support.shell"
local process = require "spec.support.process"

local sqlite = backends.sqlite

for _, backend in ipairs(backends) do
  describe("open " .. backend.tags, function()
    after_each(backends.clean)

    it("sets up an empty database and gives a store that works", function()
      local store = backend.fresh()
      local version, newest = store:schema_version()
      assert.equal(newest, version)
      assert.is_true(version >= 1)
      assert.equal(1, assert(assert(store:user("alice"):conversation("a")):append("user", "hello")).seq)
    end)

    it("takes every option that is documented", function()
      local store = backend.fresh({
        migrate = true, durability = "normal", timeout = 2.5, text = "replace", readonly = false,
        max_content_bytes = 100.0, count_tokens = function() return 1 end,
        log = function() end, slow_ms = 60000.0,
      })
      assert(assert(store:user("alice"):conversation("a")):append("user", "hello"))
    end)

    it("keeps a content of max_content_bytes and refuses one byte more", function()
      local store = backend.fresh({ max_content_bytes = 10 })
      local chat = assert(store:user("alice"):conversation("a"))
      assert.equal(("x"):rep(10), assert(chat:append("user", ("x"):rep(10))).content)
      check.fails("too_large", "content", chat:append("user", ("x"):rep(11)))
      assert.equal(1, #assert(chat:history()))
    end)

    it("limits contents to 1 MiB where nothing else is said", function()
      local chat = assert(backend.fresh():user("alice"):conversation("a"))
      assert.equal(1048576, #assert(chat:append("user", ("x"):rep(1048576))).content)
      check.fails("too_large", "content", chat:append("user", ("x"):rep(1048577)))
    end)

    it("allows contents of 16 MiB", function()
      local store = backend.fresh({ max_content_bytes = 16777216 })
      local chat = assert(store:user("alice"):conversation("a"))
      local text = ("0123456789abcdef"):rep(1048576)
      assert(chat:append("user", text))
      assert.is_true(assert(chat:message(1)).content == text)
      check.fails("too_large", "content", chat:append("user", text .. "x"))
    end)

    it("refuses wide JSON as soon as it is too large", function()
      local store = backend.fresh({ max_content_bytes = 1000 })
      local wide = { list = {}, object = {} }
      for i = 1, 10000 do
        wide.list[i] = i
        wide.object["key " .. i] = i
      end
      check.fails("too_large", "metadata", store:user("alice"):create({ metadata = { wide.list } }))
      check.fails("too_large", "metadata", store:user("alice"):create({ metadata = wide.object }))
    end)

    it("counts each JSON value as compact JSON against max_content_bytes", function()
      local store = backend.fresh({ max_content_bytes = 20 })
      local chat = assert(store:user("alice"):conversation("a"))
      -- {"a":"…"} has eight bytes around the text.
      assert(chat:append({ role = "user", content = "x", metadata = { a = ("x"):rep(12) } }))
      check.fails("too_large", "metadata",
        chat:append({ role = "user", content = "x", metadata = { a = ("x"):rep(13) } }))
      check.fails("too_large", "metadata", store:user("alice"):create({ metadata = { a = ("x"):rep(13) } }))
      check.fails("too_large", "content",
        chat:append({ role = "user", content = { { type = "text", text = "x" } } }))
      check.fails("too_large", "tool_calls",
        chat:append({ role = "assistant", tool_calls = { { id = ("x"):rep(13) } } }))
      check.fails("too_large", "attachments",
        chat:append({ role = "user", attachments = { { url = ("x"):rep(13) } } }))
      assert.equal(1, #assert(chat:history()))
    end)
  end)
end

describe("open's arguments", function()
  after_each(backends.clean)

  local function open(options)
    return convstore.open(":memory:", options)
  end

  it("raise for an option that does not exist, naming it", function()
    for _, name in ipairs({ "nonsense", "Migrate", "pool_size", "wait", "" }) do
      check.argument(name, open, { [name] = true })
    end
    check.argument("option", open, { "migrate" })
  end)

  it("raise for an option of the wrong type, naming it", function()
    local wrong = {
      migrate = { "yes", 1, {} },
      durability = { true, 1, {} },
      timeout = { "5", true, {} },
      text = { true, 1, {} },
      readonly = { "yes", 1, {} },
      max_content_bytes = { "100", 1.5, true, {}, 2.0 ^ 53 },
      count_tokens = { "f", 1, true, {} },
      log = { "f", 1, true, {} },
      slow_ms = { "100", 1.5, true, {}, 2.0 ^ 53 },
      users = { 1, true, {} },
    }
    for name, values in pairs(wrong) do
      for _, value in ipairs(values) do
        check.argument(name, open, { [name] = value })
      end
    end
  end)

  it("raise where the DSN is no string or the options are no table", function()
    for _, dsn in ipairs({ true, {}, print }) do
      check.argument("#1", convstore.open, dsn)
    end
    for _, options in ipairs({ true, "x", 5 }) do
      check.argument("#2", convstore.open, ":memory:", options)
    end
  end)

  it("give invalid for a value that breaks a rule, naming the option", function()
    local wrong = {
      durability = { "", "FULL", "off" },
      timeout = { 0, -1, 0 / 0, 1 / 0, -1 / 0, 2147484, 1e300 },
      text = { "", "Strict", "x" },
      max_content_bytes = { 0, -1, 16777217, math.maxinteger, math.mininteger },
      slow_ms = { -1, math.mininteger },
      users = { "", "accounts", "accounts()", "(id)", "accounts(id", "accounts(id)x", "a(b)(c)",
        "accounts(id); DROP TABLE accounts", "accounts(id\0)" },
    }
    for name, values in pairs(wrong) do
      for _, value in ipairs(values) do
        check.fails("invalid", name, open({ [name] = value }))
      end
    end
  end)

  it("give invalid for an empty DSN and for one with a NUL byte", function()
    check.fails("invalid", nil, convstore.open(""))
    check.fails("invalid", nil, convstore.open("a\0b"))
    check.fails("invalid", nil, convstore.open(":memory:\0"))
  end)

  it("give unsupported for a kind of database that nothing here serves", function()
    check.fails("unsupported", "mysql", convstore.open("mysql://localhost/bot"))
    check.fails("unsupported", "https", convstore.open("https://localhost/bot.db"))
  end)

  it("may be nil", function()
    local store = assert(convstore.open(":memory:", nil))
    store:close()
  end)
end)

describe("open's DSN #sqlite", function()
  after_each(backends.clean)

  it("is a file's path", function()
    local database = sqlite.place()
    database:open():close()
    assert.is_true(shell.exists(database.path))
  end)

  it("may name a file as sqlite:PATH, whatever is in the path", function()
    for _, name in ipairs({ "bot.db", "with space.db", "file:x.db", "100%41?mode=memory#x.db",
      "机器人 🤖.db", "it's \"quoted\".db", "sqlite:twice.db" }) do
      local database = sqlite.place(name)
      for _, dsn in ipairs({ "sqlite:" .. database.path, database.path }) do
        local store = assert(convstore.open(dsn))
        assert(assert(store:user("alice"):conversation("a")):append("user", dsn))
        store:close()
      end
      assert.is_true(shell.exists(database.path))
      assert.equal("2\n", database:sql("SELECT count(*) FROM convstore_messages;"))
    end
  end)

  it("is no URI and no other scheme where it only looks like one", function()
    local database = sqlite.place()
    local folder = database.folder
    for _, dsn in ipairs({ "file:x.db?mode=memory", "sqlite:y.db", "mysql:z.db", "./w:v.db" }) do
      assert.equal("appended\n", (process.run(folder, "try", { dsn }, { directory = folder }):gsub("\t.*\n",
        "\n")))
    end
    for _, name in ipairs({ "file:x.db?mode=memory", "y.db", "mysql:z.db", "w:v.db" }) do
      assert.is_true(shell.exists(folder .. "/" .. name), name)
    end
  end)

  it("as :memory: is a database that nobody shares and no file", function()
    local folder = shell.folder()
    local first, second = assert(convstore.open(":memory:")), assert(convstore.open("sqlite::memory:"))
    local chat = assert(first:user("alice"):conversation("a"))
    check.fails("not_found", nil, second:user("alice"):get(chat.id))
    first:close()
    second:close()
    assert.is_false(shell.exists(":memory:"))
    shell.remove(folder)
  end)

  it("comes from CONVSTORE_DSN where there is none", function()
    local database = sqlite.place()
    local folder = database.folder
    assert.equal("1\n", process.run(folder, "open_default", {}, {
      directory = folder, env = { CONVSTORE_DSN = database.path } }))
    assert.equal("hello\n", database:sql("SELECT content FROM convstore_messages;"))
    assert.is_false(shell.exists(folder .. "/convstore.db"))
  end)

  it("is convstore.db in the current folder where nothing else is said", function()
    local folder = sqlite.place().folder
    assert.equal("1\n", process.run(folder, "open_default", {}, {
      directory = folder, env = { CONVSTORE_DSN = false } }))
    assert.is_true(shell.exists(folder .. "/convstore.db"))
  end)
end)

describe("a readonly store #sqlite", function()
  after_each(backends.clean)

  local function filled()
    local database = sqlite.place()
    local store = database:open()
    local chat = assert(store:user("alice"):conversation("a"))
    assert(chat:append("user", "hello"))
    store:close()
    return database, chat.id
  end

  it("reads everything", function()
    local database, id = filled()
    local store = database:open({ readonly = true })
    local chat = assert(store:user("alice"):get(id))
    assert.equal("hello", assert(chat:history())[1].content)
    assert.equal("hello", assert(chat:message(1)).content)
    assert.equal(chat.id, assert(store:user("alice"):conversation("a")).id)
    local version, newest = store:schema_version()
    assert.equal(newest, version)
  end)

  it("gives readonly for every write and writes nothing", function()
    local database, id = filled()
    local before = database:dump()
    local store = database:open({ readonly = true })
    local alice = store:user("alice")
    local chat = assert(alice:get(id))
    check.fails("readonly", nil, chat:append("user", "x"))
    check.fails("readonly", nil, chat:append_many({ { role = "user", content = "x" } }))
    check.fails("readonly", nil, chat:update({ title = "x" }))
    check.fails("readonly", nil, chat:annotate(1, { a = 1 }))
    check.fails("readonly", nil, chat:redact(1))
    check.fails("readonly", nil, chat:delete())
    check.fails("readonly", nil, chat:purge())
    check.fails("readonly", nil, alice:create())
    check.fails("readonly", nil, alice:erase())
    check.fails("readonly", nil, store:purge({ idle_before = 1 }))
    check.fails("readonly", nil, store:archive({ idle_before = 1 }))
    check.fails("readonly", nil, alice:conversation("new"))
    check.fails("readonly", nil, store:migrate(0))
    store:close()
    assert.equal(before, database:dump())
  end)

  it("makes no file", function()
    local database = sqlite.place()
    assert.is_nil((database:try_open({ readonly = true })))
    assert.is_false(shell.exists(database.path))
  end)
end)
