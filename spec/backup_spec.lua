-- store:backup: a copy that is whole and of one moment, or none at all.
local lfs = require "lfs"
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local searches = require "spec.support.searches"
local shell = require "spec.support.shell"

-- What lies in a folder but for the names that are given, and what workers need.
local function entries(folder, ...)
  local list, known = {}, { ["."] = true, [".."] = true }
  for _, name in ipairs({ ... }) do known[name] = true end
  for name in lfs.dir(folder) do
    if not known[name] and not name:find("^process%d+%.%a+$") then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function sqlite3(path, sql)
  local ok, output = shell.run(("env -u LD_PRELOAD sqlite3 -batch %s %s"):format(shell.quote(path),
    shell.quote(sql)))
  assert(ok, output)
  return output
end

for _, backend in ipairs(backends) do
  if backend.name == "sqlite" or backend.name == "sqlite_memory" then
    describe("backup " .. backend.tags, function()
      after_each(backends.clean)

      local function filled()
        local store, database = backend.fresh()
        for _, name in ipairs({ "alice", "bob" }) do
          local chat = assert(store:user(name):conversation("k", { title = "T", metadata = { a = 1 } }))
          assert(chat:append_many(searches.filler(searches.ENOUGH)))
          assert(chat:summarize("so far"))
          assert(assert(chat:fork()):delete())
        end
        assert(store:user("alice"):search("filler", { limit = 1 }))
        return store, database, database.folder .. "/copy.db"
      end

      it("makes a copy that opens here and at SQLite's shell", function()
        local store, database, path = filled()
        assert.is_true(store:backup(path))
        assert.same({ "copy.db" }, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
        -- One file is all of it, whatever it will lie beside and whoever may write there.
        assert.equal("delete\nok\n602\n", sqlite3(path, "PRAGMA journal_mode; PRAGMA integrity_check;"
          .. "SELECT count(*) + 2 FROM convstore_messages WHERE conversation_id IN"
          .. " (SELECT id FROM convstore_conversations WHERE deleted_at IS NULL);"))
        local copy <close> = assert(convstore.open(path))
        assert.same({}, assert(copy:check()))
        local was, is = assert(store:stats()), assert(copy:stats())
        was.bytes, is.bytes = nil, nil
        assert.same(was, is)
        for _, name in ipairs({ "alice", "bob" }) do
          assert.same(assert(assert(store:user(name):conversation("k")):history()),
            assert(assert(copy:user(name):conversation("k")):history()))
        end
        -- Each goes its own way from here.
        assert(assert(copy:user("alice"):conversation("k")):append("user", "only there"))
        assert.equal(300, assert(store:user("alice"):conversation("k")).last_seq)
      end)

      it("of an empty store, of a copy, and again under another name", function()
        local store, database = backend.fresh()
        local path = database.folder .. "/"
        assert.is_true(store:backup(path .. "1"))
        local copy <close> = assert(convstore.open(path .. "1"))
        assert(assert(copy:user("alice"):create()):append("user", "x"))
        assert.is_true(copy:backup(path .. "2"))
        assert.is_true(store:backup(path .. "a name with 'quotes', \"more\" and ünïcode?#%"))
        assert.is_true(store:backup(path .. ("x"):rep(255)))
        local second <close> = assert(convstore.open(path .. "2"))
        assert.equal(1, assert(second:stats()).messages)
      end)

      it("never takes the place of anything", function()
        local store, database, path = filled()
        shell.write(path, "mine")
        check.fails("conflict", "copy.db", store:backup(path))
        assert.equal("mine", shell.read(path))
        check.fails("conflict", "exists", store:backup(database.folder))
        assert(shell.run(("ln -s nowhere %s"):format(shell.quote(database.folder .. "/link"))))
        check.fails("conflict", "link", store:backup(database.folder .. "/link"))
        assert.is_false(shell.exists(database.folder .. "/nowhere"))
        if backend.shared then check.fails("conflict", "bot.db", store:backup(database.path)) end
        assert.same({ "copy.db", "link" }, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
      end)

      it("refuses a name that would make it a part of a database, or of which parts lie there", function()
        local store, database, path = filled()
        for _, ending in ipairs({ "-journal", "-wal", "-shm" }) do
          shell.write(path .. ending, "of an older copy")
          check.fails("conflict", "copy.db" .. ending, store:backup(path))
          os.remove(path .. ending)
          if backend.shared then check.fails("conflict", "bot.db", store:backup(database.path .. ending)) end
        end
        assert.is_true(store:backup(path .. "-wal"))
        assert.same({ "copy.db-wal" }, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
      end)

      it("refuses what is no path of a file", function()
        local store, database, path = filled()
        check.fails("invalid", "path", store:backup(""))
        check.fails("invalid", "path", store:backup(path .. "\0x"))
        check.fails("invalid", "folder", store:backup(database.folder .. "/new/"))
        check.fails("unavailable", "folder does not exist", store:backup(database.folder .. "/no/copy.db"))
        check.fails("unavailable", nil, store:backup(database.folder .. "/" .. ("x"):rep(256)))
        check.fails("unavailable", nil, store:backup(("x/"):rep(3000) .. "x"))
        shell.write(path, "mine")
        check.fails("unavailable", "folder does not exist", store:backup(path .. "/copy.db"))
        for _, wrong in ipairs({ 5, true, {}, print }) do
          check.argument("#1", store, "backup", wrong)
        end
        check.argument("#1", store, "backup")
        assert.same({ "copy.db" }, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
      end)

      it("is not for a transaction, which goes on", function()
        local store, database, path = filled()
        assert(store:transaction(function()
          local chat = assert(store:user("alice"):conversation("k"))
          assert(chat:append("user", "not committed yet"))
          check.fails("invalid", "transaction", store:backup(path))
          assert(chat:append("user", "neither"))
          return true
        end))
        assert.same({}, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
        assert.is_true(store:backup(path))
        local copy <close> = assert(convstore.open(path))
        assert.equal(302, assert(copy:user("alice"):conversation("k")).last_seq)
      end)

      it("needs a schema", function()
        local store, _, path = filled()
        assert(store:migrate(0))
        check.fails("schema", "migrat", store:backup(path))
        assert.is_false(shell.exists(path))
      end)
    end)
  elseif backend.name:find("^postgres") then
    describe("backup " .. backend.tags, function()
      after_each(backends.clean)

      it("is unsupported, and names what does it", function()
        local store, database = backend.fresh()
        check.fails("unsupported", "pg_dump", store:backup(database.folder .. "/copy.sql"))
        check.fails("invalid", "path", store:backup(""))
        check.fails("invalid", "path", store:backup("a\0b"))
        check.argument("#1", store, "backup", 5)
        assert(store:transaction(function()
          check.fails("invalid", "transaction", store:backup(database.folder .. "/copy.sql"))
          return assert(store:user("alice"):create())
        end))
        assert.same({}, entries(database.folder))
      end)
    end)
  end
end

describe("backup of a file in use #sqlite", function()
  after_each(backends.clean)

  local NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"

  -- A database of so many megabytes.
  local function large(megabytes)
    local store, database = backends.sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("large"))
    for _ = 1, megabytes do
      local batch = {}
      for i = 1, 10 do batch[i] = { role = "user", content = ("%d "):format(i):rep(34000) } end
      assert(chat:append_many(batch))
    end
    return store, database, database.folder .. "/copy.db"
  end

  it("is of one moment while others append as fast as they can", function()
    local store, database, path = large(40)
    local writers = {}
    for i = 1, 2 do
      writers[i] = database:start("append", { "k" .. i, 3000, "process" .. i })
      assert.equal("ready", writers[i]:line())
    end
    for _, writer in ipairs(writers) do writer:tell("go") end
    -- Until both are at it.
    local chats = {}
    for i = 1, 2 do
      chats[i] = assert(store:user("alice"):conversation("k" .. i))
      while assert(chats[i]:refresh()).last_seq < 20 do end -- luacheck: ignore
    end
    local copies, written = {}, 0
    for n = 1, 3 do
      local before = {}
      for i = 1, 2 do before[i] = assert(chats[i]:refresh()).last_seq end
      assert.is_true(store:backup(path .. n))
      for i = 1, 2 do written = written + assert(chats[i]:refresh()).last_seq - before[i] end
      copies[n] = assert(convstore.open(path .. n))
      for i = 1, 2 do
        assert.is_true(assert(copies[n]:user("alice"):conversation("k" .. i)).last_seq >= before[i])
      end
    end
    for _, writer in ipairs(writers) do
      local _, ok, errors = writer:finish()
      assert.is_true(ok, errors)
    end
    for n, copy in ipairs(copies) do
      assert.equal("ok\n", sqlite3(path .. n, "PRAGMA integrity_check;"))
      assert.same({}, assert(copy:check()))
      for i = 1, 2 do
        local all = assert(chats[i]:history())
        assert.equal(3000, #all)
        local kept = assert(assert(copy:user("alice"):conversation("k" .. i)):history())
        for seq, message in ipairs(kept) do
          assert(message.id == all[seq].id and message.content == all[seq].content)
        end
      end
      copy:close()
    end
    assert.is_true(written > 10, written .. " messages were written while copies were made")
  end)

  it("leaves nothing of that name when its process is killed in the middle", function()
    local store, database, path = large(4)
    -- The system kills what writes a file beyond the limit.
    local worker = database:start("backup", { path }, { before = "ulimit -f 2000" })
    local output, ok = worker:finish()
    assert.is_false(ok)
    assert.equal("", output)
    assert.is_false(shell.exists(path))
    local left = entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm")
    assert.equal(1, #left)
    assert.truthy(left[1]:find("^%.convstore%-backup%-"))
    assert.is_true(store:backup(path))
    assert.equal("ok\n", sqlite3(path, "PRAGMA integrity_check;"))
  end)

  it("gives full where there is no room, and leaves nothing", function()
    local store, database, path = large(4)
    local worker = database:start("backup", { path }, { before = "trap '' XFSZ && ulimit -f 2000" })
    local output, ok, errors = worker:finish()
    assert.is_true(ok, errors)
    assert.truthy(output:find("^full\tfull: .*copy%.db"), output)
    assert.same({}, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
    assert.is_true(store:backup(path))
  end)

  it("gives timeout where there is no time, and leaves nothing", function()
    local store, database, path = large(20)
    local hurried = database:open({ timeout = 0.004 })
    local code
    for _ = 1, 20 do -- on a quick machine one of them may be in time
      local _
      _, _, code = hurried:backup(path)
      if code then break end
      assert(os.remove(path))
    end
    assert.equal("timeout", code)
    assert.same({}, entries(database.folder, "bot.db", "bot.db-wal", "bot.db-shm"))
    assert.is_true(store:backup(path))
  end)

  it("says why a folder takes no file", function()
    local _, database, path = large(1)
    if shell.is_root() and not shell.run(NOBODY .. " test -r spec/support/worker.lua") then
      return pending("this checkout is not readable without root's powers")
    end
    assert(shell.run("cd " .. shell.quote(database.folder) .. " && chmod -R a+rwX . && mkdir closed hidden"
      .. " && chmod 555 closed && chmod 000 hidden"))
    finally(function() assert(shell.run("chmod 755 " .. shell.quote(database.folder .. "/hidden"))) end)
    local as = { as = shell.is_root() and NOBODY or nil }
    assert.truthy(database:run("backup", { database.folder .. "/closed/copy.db" }, as):find("^readonly\t"))
    assert.truthy(database:run("backup", { database.folder .. "/hidden/copy.db" }, as):find("^denied\t"))
    assert.truthy(database:run("backup", { path }, as):find("^copied"))
  end)

  it("shows the copy to nobody who may not read the database", function()
    local store, database, path = large(1)
    assert.is_true(store:backup(path .. "1"))
    assert(shell.run("chmod 600 " .. shell.quote(database.path)))
    assert.is_true(store:backup(path .. "2"))
    assert.equal("rw-------", lfs.attributes(path .. "2", "permissions"))
    local memory <close> = assert(convstore.open(":memory:"))
    assert.is_true(memory:backup(path .. "3"))
    assert.equal("rw-------", lfs.attributes(path .. "3", "permissions"))
  end)

  it("takes a path as it is written, relative ones too", function()
    local store, database = large(1)
    store:close()
    assert(lfs.mkdir(database.folder .. "/file:x"))
    for _, path in ipairs({
      "copy.db", "./copy2.db", "file:copy3.db?mode=ro", "file:x/copy4.db", ":memory:",
    }) do
      local said = database:run("backup", { path }, { directory = database.folder })
      assert.equal("copied", said:match("^%a+"))
      assert.equal("ok\n", sqlite3(database.folder .. "/" .. path, "PRAGMA integrity_check;"))
    end
  end)

  it("is made from a store that may only read, in whatever mode the file is", function()
    local store, database, path = large(1)
    assert.is_true(database:open({ readonly = true }):backup(path .. "1"))
    store:close()
    for _, other in ipairs(database.stores) do other:close() end
    assert.equal("delete\n", database:sql("PRAGMA journal_mode = DELETE;"))
    local reader = database:open({ readonly = true })
    assert.is_true(reader:backup(path .. "2"))
    assert.equal("delete\n", database:sql("PRAGMA journal_mode;"))
    assert.equal("10\n", sqlite3(path .. "2", "SELECT count(*) FROM convstore_messages;"))
  end)

  it("lets others write between its steps where the file is not in write-ahead mode", function()
    local store, database, path = large(8)
    store:close()
    database:sql("CREATE TABLE host (n INTEGER); PRAGMA journal_mode = DELETE;")
    local reader = database:open({ readonly = true })
    local others = assert(io.popen(("for i in $(seq 60); do env -u LD_PRELOAD sqlite3 -cmd '.timeout 9999' %s"
      .. " \"INSERT INTO host VALUES ($i);\" || echo failed; done"):format(shell.quote(database.path))))
    for n = 1, 3 do assert.is_true(reader:backup(path .. n)) end
    assert.equal("", others:read("a"))
    others:close()
    for n = 1, 3 do
      assert.equal("ok\n", sqlite3(path .. n, "PRAGMA integrity_check;"))
      assert.equal("1\n", sqlite3(path .. n, "SELECT count(*) = coalesce(max(n), 0) FROM host;"))
      local copy <close> = assert(convstore.open(path .. n))
      assert.same({}, assert(copy:check()))
    end
    assert.equal("60\n", database:sql("SELECT count(*) FROM host;"))
  end)

  it("does not hand a damaged file on as a copy", function()
    local store, database, path = large(2)
    store:close()
    database:sql("PRAGMA wal_checkpoint(TRUNCATE);")
    assert(shell.run(("truncate -s -1000000 %s"):format(shell.quote(database.path))))
    local damaged, _, code = database:try_open()
    if damaged then
      local _
      _, _, code = damaged:backup(path)
    end
    assert.is_true(code == "corrupt" or code == "unavailable", tostring(code))
    assert.is_false(shell.exists(path))
  end)
end)
