-- What migrations do to an SQLite file that is also somebody else's.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local shell = require "spec.support.shell"

local sqlite = backends.sqlite

local HOST = [[
PRAGMA user_version = 42;
PRAGMA application_id = 1234;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE messages (id INTEGER PRIMARY KEY, account INTEGER REFERENCES accounts (id), body TEXT);
CREATE INDEX messages_account ON messages (account);
CREATE TABLE conversations (a);
CREATE VIEW newest AS SELECT * FROM messages ORDER BY id DESC;
CREATE TRIGGER count_messages AFTER INSERT ON messages BEGIN UPDATE accounts SET name = name || '.'; END;
INSERT INTO accounts VALUES (1, 'Ann');
INSERT INTO messages VALUES (1, 1, 'hello');
]]

local SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name;"
local OURS = "SELECT count(*) FROM sqlite_master WHERE name || tbl_name LIKE '%convstore%';"
local MARKS = "PRAGMA user_version; PRAGMA application_id;"

describe("migrations of a file #sqlite", function()
  after_each(backends.clean)

  it("leave a host's tables, user_version and application_id as they are", function()
    local database = sqlite.place()
    database:sql(HOST)
    local before = database:dump() .. database:sql(MARKS)
    local store = database:open()
    assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
    assert.equal("42\n1234\n", database:sql(MARKS))
    assert.equal("1|Ann.\n", database:sql("SELECT * FROM accounts;"))
    assert.equal(0, assert(store:migrate(0)))
    store:close()
    assert.equal(before, database:dump() .. database:sql(MARKS))
    assert.equal("0\n", database:sql(OURS))
  end)

  it("leave nothing of ours behind on the way down", function()
    local store, database = sqlite.fresh()
    assert.not_equal("0\n", database:sql(OURS))
    assert(store:migrate(0))
    assert.equal("", database:sql(SCHEMA))
  end)

  it("make the same schema every time", function()
    local store, database = sqlite.fresh()
    local first = database:sql(SCHEMA)
    for _ = 1, 2 do
      assert(store:migrate(0))
      assert(store:migrate())
      assert.equal(first, database:sql(SCHEMA))
    end
    local _, other = sqlite.fresh({ migrate = true })
    assert.equal(first, other:sql(SCHEMA))
    local by_hand = sqlite.place()
    assert(by_hand:open({ migrate = false }):migrate())
    assert.equal(first, by_hand:sql(SCHEMA))
  end)

  it("write nothing into a file that is opened with migrate = false", function()
    local database = sqlite.place()
    database:sql(HOST)
    local before = database:dump()
    local store = database:open({ migrate = false })
    assert.equal(0, (store:schema_version()))
    check.fails("schema", nil, store:user("alice"):create())
    store:close()
    assert.equal(before, database:dump())
  end)

  describe("refuse, and leave unchanged,", function()
    -- The file must give `schema`, whichever way it is opened.
    local function refused(database)
      local before = database:dump()
      check.fails("schema", nil, database:try_open())
      check.fails("schema", nil, database:try_open({ migrate = true }))
      check.fails("schema", nil, database:try_open({ readonly = true }))
      assert.equal(before, database:dump())
    end

    local function filled()
      local store, database = sqlite.fresh()
      assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
      store:close()
      return database
    end

    it("a file of a newer schema", function()
      local database = filled()
      database:sql([[
        INSERT INTO convstore_migrations
          SELECT 999, 'future', checksum, applied_at FROM convstore_migrations LIMIT 1;]])
      refused(database)
      local store = database:open({ migrate = false })
      local version, newest = store:schema_version()
      assert.equal(999, version)
      assert.is_true(newest < 999)
      check.fails("schema", nil, store:user("alice"):conversation("k"))
      check.fails("schema", nil, store:migrate())
      check.fails("schema", nil, store:migrate(0))
    end)

    it("a file of the next schema", function()
      local database = filled()
      database:sql([[
        INSERT INTO convstore_migrations
          SELECT max(version) + 1, 'future', checksum, applied_at FROM convstore_migrations;]])
      refused(database)
      local store = database:open({ migrate = false })
      local version, newest = store:schema_version()
      assert.equal(newest + 1, version)
      check.fails("schema", tostring(version), store:user("alice"):conversation("k"))
      local list = assert(store:migrations())
      assert.equal(version, #list)
      assert.equal("future", list[version].name)
      assert.equal("integer", math.type(list[version].applied_at))
      assert.is_nil(list[version].up)
    end)

    it("a file whose list of migrations was edited", function()
      for _, edit in ipairs({ "SET checksum = '0000000000000000'", "SET name = 'other'", "SET checksum = ''",
        "SET version = version + 100", "SET version = version - 1", "SET version = -version" }) do
        local database = filled()
        database:sql("UPDATE convstore_migrations " .. edit .. ";")
        refused(database)
        local store = database:open({ migrate = false })
        check.fails("schema", nil, store:user("alice"):conversation("k"))
        check.fails("schema", nil, store:migrate())
        check.fails("schema", nil, store:migrate(0))
        store:close()
      end
    end)

    it("a file whose list of migrations is gone", function()
      local database = filled()
      database:sql("DROP TABLE convstore_migrations;")
      refused(database)
      local store = database:open({ migrate = false })
      check.fails("schema", nil, store:user("alice"):conversation("k"))
      check.fails("schema", nil, store:migrate())
      check.fails("schema", nil, store:migrate(0))
      assert.equal("1\n", database:sql("SELECT count(*) FROM convstore_messages;"))
    end)

    it("a file with a foreign table of our name", function()
      for _, name in ipairs({ "convstore_messages", "convstore_conversations", "convstore_settings",
        "convstore_summaries",
        "convstore_messages_archive" }) do
        local database = sqlite.place()
        database:sql("CREATE TABLE " .. name .. " (a, b); INSERT INTO " .. name .. " VALUES (1, 'x');")
        refused(database)
      end
    end)

    it("a file with a foreign list of migrations", function()
      for _, columns in ipairs({ "(a)", "(version TEXT, name TEXT, checksum TEXT, applied_at TEXT)" }) do
        local database = sqlite.place()
        database:sql("CREATE TABLE convstore_migrations " .. columns .. ";")
        database:sql("INSERT INTO convstore_migrations DEFAULT VALUES;")
        refused(database)
      end
    end)

    it("a file in which a step fails halfway", function()
      local database = sqlite.place()
      -- No table of convstore's names, but one that an index of ours will collide with.
      database:sql("CREATE TABLE convstore_messages_pinned_idx (a);")
      local before = database:dump()
      local store, message, code = database:try_open()
      assert.is_nil(store)
      assert.equal("schema", code)
      assert.truthy(message:find("convstore_messages_pinned_idx", 1, true))
      assert.equal(before, database:dump())
    end)
  end)

  it("make user_id what the users option refers to, without a trigger", function()
    for column, stored in pairs({ ["id INTEGER"] = "integer", ["id BIGINT"] = "integer", ["id TEXT"] = "text",
      ["id VARCHAR(20)"] = "text" }) do
      local database = sqlite.place()
      database:sql("CREATE TABLE accounts (" .. column .. " PRIMARY KEY); INSERT INTO accounts VALUES ('7');")
      assert(assert(database:open({ users = "accounts(id)" }):user(7):create()):append("user", "x"))
      assert.equal(stored .. "\n", database:sql("SELECT typeof(user_id) FROM convstore_conversations;"))
      assert.equal(stored .. "\n", database:sql("SELECT typeof(user_id) FROM convstore_messages;"))
      assert.equal("0\n", database:sql("SELECT count(*) FROM sqlite_master WHERE type = 'trigger';"))
      assert.equal("", database:sql("PRAGMA foreign_key_check;"))
    end
  end)

  it("are in the file with the time they were applied", function()
    local _, database = sqlite.fresh()
    local version, name, checksum, applied_at =
      database:sql("SELECT version, name, checksum, applied_at FROM convstore_migrations;")
      :match("^(%d+)|(%a+)|(%x+)|(%d+)\n")
    assert.equal("1", version)
    assert.equal("init", name)
    assert.equal(16, #checksum)
    check.just_now(math.tointeger(applied_at))
  end)

  it("are embedded as they stand in the source, with their checksums", function()
    local store, database = sqlite.fresh()
    for _, migration in ipairs(assert(store:migrations())) do
      local stem = ("csrc/sqlite/migrations/%04d_%s"):format(migration.version, migration.name)
      local up, down = assert(shell.read(stem .. ".up.sql")), assert(shell.read(stem .. ".down.sql"))
      assert.equal(down, migration.down)
      local hash = 0xcbf29ce484222325
      for _, byte in ipairs({ (up .. "\0" .. down):byte(1, -1) }) do
        hash = (hash ~ byte) * 0x100000001b3
      end
      assert.equal(("%016x\n"):format(hash), database:sql(
        ("SELECT checksum FROM convstore_migrations WHERE version = %d;"):format(migration.version)))
    end
  end)
end)
