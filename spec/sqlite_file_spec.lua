-- The SQLite file as a thing in a folder: what a person and other programs find in it.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local shell = require "spec.support.shell"

local sqlite = backends.sqlite

describe("an SQLite file #sqlite", function()
  after_each(backends.clean)

  it("is in WAL mode", function()
    local _, database = sqlite.fresh()
    assert.equal("wal\n", database:sql("PRAGMA journal_mode;"))
  end)

  it("can be read by a person with the sqlite3 shell", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("telegram:1", { title = "T", metadata = { a = 1 },
      created_at = 5000 }))
    local message = assert(chat:append("user", "héllo\nworld", { metadata = { n = 1 }, token_count = 9,
      created_at = 6000 }))
    assert.equal(("alice|%s|telegram:1|T|active|{\"a\":1}|1|9|5000\n"):format(chat.id), database:sql([[
      SELECT user_id, id, key, title, status, metadata, last_seq, token_count, created_at
        FROM convstore_conversations;]]))
    local expected = ("alice|%s|%s|1|user|héllo\nworld|{\"n\":1}|9|6000\n"):format(chat.id, message.id)
    assert.equal(expected, database:sql([[
      SELECT user_id, conversation_id, id, seq, role, content, metadata, token_count, created_at
        FROM convstore_messages;]]))
  end)

  it("has JSON as compact text with sorted keys, as a person would read it", function()
    local store, database = sqlite.fresh()
    assert(assert(store:user("alice"):create()):append("user", "x", { metadata = {
      b = { 1, 2.0, -0.5 }, a = "é\n\"/", c = convstore.null, d = convstore.array {}, e = {}, f = true } }))
    assert.equal([[{"a":"é\n\"/","b":[1,2.0,-0.5],"c":null,"d":[],"e":{},"f":true}]] .. "\n",
      database:sql("SELECT metadata FROM convstore_messages;"))
  end)

  it("has STRICT tables, and an intact database after all kinds of writes", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append_many({ { role = "user", content = "1" }, { role = "assistant",
      content = { { type = "text" } } } }))
    assert(chat:annotate(1, { a = 1 }))
    assert(chat:redact(2))
    assert(chat:update({ metadata = { b = 2 }, merge = true }))
    assert(assert(store:user("alice"):create()):purge())
    assert(chat:delete())
    assert(chat:restore())
    assert.equal("ok\n", database:sql("PRAGMA integrity_check;"))
    assert.equal("", database:sql("PRAGMA foreign_key_check;"))
    assert.equal("0\n", database:sql([[
      SELECT count(*) FROM pragma_table_list
        WHERE name LIKE 'convstore%' AND type = 'table' AND NOT strict;]]))
  end)

  it("keeps the running totals that later reads rely on", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("system", "s", { token_count = 100 }))
    assert(chat:append("user", "u", { token_count = 1 }))
    assert(chat:append_many({ { role = "developer", content = "d", token_count = 200 },
      { role = "assistant", content = "a", token_count = 10 }, { role = "user", content = "u",
      token_count = 1000 } }))
    assert.equal("1|0\n2|1\n3|1\n4|11\n5|1011\n",
      database:sql("SELECT seq, token_total FROM convstore_messages ORDER BY seq;"))
    assert.equal("5|1311|300\n",
      database:sql("SELECT last_seq, token_count, pinned_token_count FROM convstore_conversations;"))
  end)

  it("tells where a conversation was forked from", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local id = convstore.uuid()
    database:sql("UPDATE convstore_conversations SET forked_from_seq = 7, forked_from_id = '" .. id .. "';")
    assert.same({ id = id, seq = 7 }, assert(chat:refresh()).forked_from)
  end)

  it("refuses a message in somebody else's conversation by itself", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    check.raises("FOREIGN KEY", database.sql, database, ([[
      INSERT INTO convstore_messages (user_id, conversation_id, seq, id, role, content, token_count,
        token_total, created_at)
      VALUES ('bob', '%s', 1, '%s', 'user', 'x', 1, 1, 0);]]):format(chat.id, convstore.uuid()))
  end)

  it("holds no trace of what was redacted or purged", function()
    local store, database = sqlite.fresh()
    local alice = store:user("alice")
    local chat = assert(alice:conversation("k"))
    for i = 1, 20 do
      assert(chat:append("user", "noise " .. i))
    end
    assert(chat:append("user", "swordfish content " .. ("x"):rep(9000), { name = "swordfish name",
      metadata = { a = "swordfish metadata" },
      attachments = { { name = "swordfish attachment" } } }))
    local gone = assert(alice:create({ title = "swordfish title", metadata = { a = "swordfish" } }))
    assert(gone:append("user", { { type = "text", text = "swordfish part" } }))
    assert(chat:redact(21))
    assert(gone:purge())
    store:close()
    for _, suffix in ipairs({ "", "-wal", "-journal" }) do
      local bytes = shell.read(database.path .. suffix)
      assert.is_nil(bytes and bytes:find("swordfish", 1, true), suffix)
    end
  end)

  it("leaves no file beside itself once it is closed", function()
    local store, database = sqlite.fresh()
    assert(assert(store:user("alice"):create()):append("user", "x"))
    store:close()
    assert.is_true(shell.exists(database.path))
    assert.is_false(shell.exists(database.path .. "-wal"))
    assert.is_false(shell.exists(database.path .. "-shm"))
  end)

  it("may be changed by its host while it is open", function()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("user", "1"))
    database:sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY); INSERT INTO accounts VALUES (1);")
    assert(chat:append("user", "2"))
    database:sql("VACUUM;")
    assert(chat:append("user", "3"))
    database:sql("DROP TABLE accounts; ANALYZE;")
    assert.equal(3, #assert(chat:history()))
    assert(chat:append("user", "4"))
    database:sql("UPDATE convstore_conversations SET title = 'by hand';")
    assert.equal("by hand", assert(chat:refresh()).title)
  end)

  it("may be in use by a host that keeps a rollback journal", function()
    local database = sqlite.place()
    database:sql([[
      PRAGMA journal_mode = DELETE;
      CREATE TABLE accounts (id INTEGER PRIMARY KEY);
      INSERT INTO accounts VALUES (1);]])
    local chat = assert(database:open():user("alice"):conversation("k"))
    assert(chat:append("user", "1"))
    assert.equal("1\n", database:sql("SELECT count(*) FROM accounts;"))
  end)

  it("may be empty before", function()
    local database = sqlite.place()
    shell.write(database.path, "")
    assert(assert(database:open():user("alice"):conversation("k")):append("user", "1"))
  end)

  it("can't be a folder", function()
    local database = sqlite.place()
    check.fails("invalid", "folder", convstore.open(database.folder))
    check.fails("invalid", "folder", convstore.open("/"))
  end)

  it("can't be in a folder that does not exist", function()
    local database = sqlite.place()
    local path = database.folder .. "/nowhere/bot.db"
    check.fails("unavailable", "nowhere", convstore.open(path))
    check.fails("unavailable", nil, convstore.open(database.folder .. "/" .. ("x"):rep(300)))
    check.fails("unavailable", nil, convstore.open(database.folder .. "/" .. ("x"):rep(5000)))
    assert.is_false(shell.exists(database.folder .. "/nowhere"))
  end)

  it("may be behind a symbolic link", function()
    local store, database = sqlite.fresh()
    assert(assert(store:user("alice"):conversation("k")):append("user", "1"))
    store:close()
    local link = database.folder .. "/link.db"
    assert(require("lfs").link(database.path, link, true))
    local linked <close> = assert(convstore.open(link))
    assert.equal(2, assert(assert(linked:user("alice"):conversation("k")):append("user", "2")).seq)
  end)
end)
