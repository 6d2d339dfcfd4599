-- A schema that changes while a store is open, and files that only look as if they could be used.
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local sqlite = backends.sqlite

describe("an open store #sqlite", function()
  after_each(backends.clean)

  local function fresh()
    local database = sqlite.place()
    local store = database:open()
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    return database, store, chat
  end

  it("stops reading and writing once a newer library has migrated its file", function()
    local database, store, chat = fresh()
    local _, newest = store:schema_version()
    database:sql([[
      INSERT INTO convstore_migrations
        SELECT max(version) + 1, 'future', checksum, applied_at FROM convstore_migrations;
      ALTER TABLE convstore_messages ADD COLUMN future TEXT;]])
    check.fails("schema", "version " .. newest + 1, chat:append("user", "y"))
    check.fails("schema", nil, chat:history())
    check.fails("schema", nil, store:user("alice"):conversation("k"))
    check.fails("schema", nil, store:transaction(function() error("not called") end))
    assert.equal("1\n", database:sql("SELECT count(*) FROM convstore_messages;"))
  end)

  it("goes on when only tables of the host have changed", function()
    local database, _, chat = fresh()
    database:sql("CREATE TABLE tasks (id INTEGER PRIMARY KEY); DROP TABLE tasks; CREATE TABLE jobs (a);")
    assert.equal(2, assert(chat:append("user", "y")).seq)
    assert.equal(2, #assert(chat:history()))
  end)

  it("never takes one user for another when its file was made anew with a users table", function()
    local database = sqlite.place()
    local store = database:open()
    local chat = assert(store:user("007"):conversation("k"))
    local other = database:open()
    assert.equal(0, assert(other:migrate(0)))
    database:sql("CREATE TABLE people (id INTEGER PRIMARY KEY); INSERT INTO people VALUES (7);")
    local seven = assert(database:open({ users = "people(id)" }):user(7):conversation("k"))
    assert(seven:append("user", "mine"))
    check.fails("schema", nil, store:user("007"):conversation("k"))
    check.fails("invalid", nil, store:user("007"):conversation("k"))
    check.fails("invalid", nil, chat:history())
    assert.equal(1, #assert(store:user("7"):get(seven.id):history()))
  end)

  it("that was opened with other users than the schema was made with is refused at each call", function()
    local database = sqlite.place()
    database:sql("CREATE TABLE people (id INTEGER PRIMARY KEY); INSERT INTO people VALUES (7);")
    local store = database:open({ migrate = false, users = "people(id)" })
    database:open():close()
    for _ = 1, 3 do
      check.fails("schema", "users", store:user(7):conversation("k"))
    end
    assert.equal(0, database:count("conversations"))
  end)

  it("without its settings is corrupt at each call", function()
    local database = sqlite.place()
    local store = database:open({ migrate = false })
    database:open():close()
    database:sql("DELETE FROM convstore_settings;")
    for _ = 1, 3 do
      check.fails("corrupt", nil, store:user(7):conversation("k"))
    end
  end)

  it("says that the users table is gone when it is", function()
    local database = sqlite.place()
    database:sql("CREATE TABLE people (id INTEGER PRIMARY KEY); INSERT INTO people VALUES (7);")
    local store = database:open({ users = "people(id)" })
    database:sql("PRAGMA foreign_keys = OFF; DROP TABLE people;")
    check.fails("invalid", "users", store:user(7):conversation("k"))
  end)
end)

describe("a file of UTF-16 #sqlite", function()
  after_each(backends.clean)

  it("is refused, since it would not give every text back", function()
    local database = sqlite.place()
    database:sql("PRAGMA encoding = 'UTF-16le'; CREATE TABLE host (a);")
    local before = database:dump()
    check.fails("unsupported", "UTF%-16le", database:try_open())
    assert.equal(before, database:dump())
  end)
end)
