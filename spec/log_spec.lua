-- The options `log` and `slow_ms`: what a program is told of what happens inside its calls, and that telling it harms
-- nothing, whatever its function does.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local events = require "spec.support.events"
local system = require "system"
local shell = require "spec.support.shell"

for _, backend in ipairs(backends) do
  describe("the log " .. backend.tags, function()
    local log

    before_each(function() log = events.new() end)
    after_each(backends.clean)

    -- A store that tells of every call, and a conversation in it. What opening told is forgotten.
    local function fresh(write)
      local store, database = backend.fresh({ log = write or log.write, slow_ms = 0 })
      local chat = assert(store:user("alice"):conversation("k"))
      log:clear()
      return chat, store, database
    end

    it("is told of each step of the schema, up and down, in order", function()
      local store = backend.fresh({ log = log.write, slow_ms = 60000 })
      local newest = assert(store:schema_version())
      local up = log:of("migrate")
      assert.equal(newest, #up)
      for version, event in ipairs(up) do
        assert.equal(version, event.version)
        assert.equal("open", event.call)
        assert.is_true(event.elapsed_ms >= 0)
      end
      log:clear()
      assert(store:migrate(0))
      local down = log:of("migrate")
      assert.equal(newest, #down)
      for i, event in ipairs(down) do
        assert.equal(newest - i, event.version)
        assert.equal("migrate", event.call)
      end
      log:clear()
      assert(store:migrate(1))
      assert.equal(1, log:only("migrate").version)
      log:clear()
      assert(store:migrate(1))
      assert.equal("", log:names())
    end)

    it("is told nothing where nothing happens", function()
      local store = backend.fresh({ log = log.write, slow_ms = 60000 })
      log:clear()
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "x"))
      assert(chat:history())
      check.fails("not_found", nil, chat:message(7))
      assert.equal("", log:names())
    end)

    it("is told of each call with slow_ms = 0, after it and by its name", function()
      local chat, store = fresh()
      local alice = store:user("alice")
      assert(chat:append("user", "x"))
      assert.equal("slow/append", log:names())
      assert(chat:append_many({ { role = "user", content = "a" }, { role = "user", content = "b" } }))
      assert(chat:message(1))
      assert(chat:history())
      assert(chat:update({ title = "t" }))
      assert(chat:annotate(1, { a = 1 }))
      assert(chat:redact(1))
      assert(chat:refresh())
      assert(alice:list())
      assert(alice:usage())
      assert(chat:delete())
      assert(chat:restore())
      assert.equal("slow/append slow/append slow/message slow/history slow/update slow/annotate slow/redact"
        .. " slow/get slow/list slow/usage slow/delete slow/restore", log:names())
      for _, event in ipairs(log:of("slow")) do
        assert.is_true(event.elapsed_ms >= 0 and event.elapsed_ms < 60000)
        assert.is_nil(event.code)
      end
      log:clear()
      check.fails("not_found", nil, chat:message(99))
      assert.equal("not_found", log:only("slow").code)
    end)

    it("is told of an open that fails", function()
      local _, database = backend.fresh()
      check.fails("invalid", nil, database:try_open({ log = log.write, slow_ms = 0, timeout = -1 }))
      assert.equal("", log:names()) -- nothing was opened
      local _, _, code = database:try_open({ log = log.write, slow_ms = 0, users = "nowhere(id)" })
      assert.is_string(code)
      local event = log:only("slow")
      assert.equal("open", event.call)
      assert.equal(code, event.code)
    end)

    it("is told how much a search had to index", function()
      local store = backend.fresh({ log = log.write, slow_ms = 60000 })
      local chat = assert(store:user("alice"):conversation("k"))
      local batch = {}
      for i = 1, 3000 do
        batch[i] = { role = "user", content = "word " .. i }
      end
      assert(chat:append_many(batch))
      log:clear()
      assert(store:user("alice"):search("word"))
      local event = log:only("index")
      assert.equal(3000, event.count)
      assert.equal("search", event.call)
      assert.is_true(event.elapsed_ms >= 0)
      log:clear()
      assert(store:user("alice"):search("word"))
      assert.equal("", log:names())
    end)

    it("is told nothing of what messages and fields say", function()
      local MARK = "Xyzzy"
      local store = backend.fresh({ log = log.write, slow_ms = 0, timeout = 5 })
      local alice = store:user("user" .. MARK)
      local chat = assert(alice:conversation("key" .. MARK, { title = MARK, metadata = { a = MARK } }))
      local id = assert(chat:append("user", MARK, { name = MARK, metadata = { [MARK] = 1 } })).id
      for i = 1, 400 do
        assert(chat:append("assistant", ("%s %d"):format(MARK, i)))
      end
      assert(alice:search(MARK))
      assert(chat:history())
      assert(chat:update({ title = "another " .. MARK }))
      assert(chat:summarize(MARK))
      assert(chat:context())
      check.fails("conflict", nil, chat:append("user", "other " .. MARK, { id = id }))
      check.fails("conflict", nil, alice:create({ key = "key" .. MARK }))
      assert(alice:list())
      assert(chat:purge())
      local text = log:text()
      assert.is_true(#log > 400)
      assert.is_nil(text:find(MARK, 1, true))
      assert.is_nil(text:find(id, 1, true))
    end)

    it("is told between the calls of a transaction, never later and never during one", function()
      local chat, store = fresh()
      local seen = {}
      assert(store:transaction(function()
        seen[#seen + 1] = log:names()
        assert(chat:append("user", "x"))
        seen[#seen + 1] = log:names()
        assert(chat:history())
        seen[#seen + 1] = log:names()
        return true
      end))
      assert.same({ "slow/begin", "slow/begin slow/append", "slow/begin slow/append slow/history" }, seen)
      assert.equal("slow/begin slow/append slow/history slow/commit", log:names())
      log:clear()
      assert.is_nil(store:transaction(function() return nil, "no" end))
      assert.equal("slow/begin slow/rollback", log:names())
    end)

    it("is told of a transaction that ends with its coroutine: at once, or with the next call", function()
      local chat, store = fresh()
      local function begin()
        local thread = coroutine.create(function()
          store:transaction(function()
            assert(chat:append("user", "x"))
            coroutine.yield()
          end)
        end)
        assert(coroutine.resume(thread))
        return thread
      end
      assert.is_true(coroutine.close(begin()))
      assert.equal("slow/begin slow/append slow/rollback", log:names())
      log:clear()
      begin()
      collectgarbage()
      collectgarbage()
      assert(chat:history())
      assert.equal("slow/begin slow/append slow/rollback slow/history", log:names())
    end)

    it("may raise: the call is as if it had not, and one event says so", function()
      local raises = true
      local chat, store = fresh(function(event)
        log.write(event)
        if raises and event.event ~= "log_failed" then error({ "any value" }) end
      end)
      assert.equal(1, assert(chat:append("user", "x")).seq)
      assert.equal("slow/append log_failed/-", log:names())
      assert.truthy(log:only("log_failed").message:find("slow", 1, true))
      assert(store:transaction(function()
        assert.equal(2, assert(chat:append("user", "y")).seq)
        return true
      end))
      raises = false
      log:clear()
      assert.equal(2, #assert(chat:history()))
      assert.equal("slow/history", log:names())
    end)

    it("may always raise: it is told once of that", function()
      local n = 0
      local chat, store = fresh(function(event)
        if event.event == "log_failed" then n = n + 1 end
        error("no")
      end)
      for i = 1, 20 do
        assert.equal(i, assert(chat:append("user", "x")).seq)
      end
      check.fails("not_found", nil, chat:message(99))
      assert.equal(1, n)
      assert.is_true(store:close())
    end)

    it("may not yield", function()
      local yielded = false
      local chat = fresh(function()
        coroutine.yield()
        yielded = true
      end)
      local results = table.pack(coroutine.resume(coroutine.create(function()
        return assert(chat:append("user", "x")).seq
      end)))
      assert.same({ true, 1, n = 2 }, results)
      assert.is_false(yielded)
    end)

    it("may call the store, whose events come behind and cause no more", function()
      local chat, notes
      local order = {}
      chat = fresh(function(event)
        order[#order + 1] = event.call
        if notes then
          assert(notes:append("system", event.event .. " of " .. tostring(event.call)))
          order[#order + 1] = "done"
        end
      end)
      notes = chat
      order = {}
      assert.equal(1, assert(chat:append("user", "x")).seq)
      -- The note on the append; its own event and note; the event of that note comes to nobody.
      assert.same({ "append", "done", "append", "done" }, order)
      notes = nil
      local history = assert(chat:history())
      assert.equal(3, #history)
      assert.equal("slow of append", history[2].content)
      order = {}
      assert(chat:append("user", "y"))
      assert.same({ "append" }, order)
    end)

    it("may run transactions of its own inside the caller's, and only what it undoes is undone", function()
      local noting, chat, store = false, nil, nil
      chat, store = fresh(function()
        if not noting then return end
        assert(store:transaction(function() return chat:append("system", "noted") end))
        pcall(store.transaction, store, function()
          assert(chat:append("system", "undone"))
          error("no")
        end)
      end)
      noting = true
      assert(store:transaction(function() return chat:append("user", "x") end))
      noting = false
      local n = {}
      for _, message in ipairs(assert(chat:history())) do
        n[message.content] = (n[message.content] or 0) + 1
      end
      -- For begin, append and commit one each, and one for each of the six events that those notes cause.
      assert.same({ x = 1, noted = 3 + 3 * 6 }, n)
    end)

    it("may write into another store, and open one", function()
      local notes = backend.fresh()
      local file = assert(notes:user("log"):conversation("k"))
      local chat = fresh(function(event)
        local other = assert(convstore.open(":memory:", { log = function() end, slow_ms = 0 }))
        assert(other:user("x"):conversation("k"):append("user", event.message))
        other:close()
        assert(file:append("system", event.event))
      end)
      assert(chat:append("user", "x"))
      assert(chat:append("user", "y"))
      assert.is_true(assert(file:refresh()).last_seq >= 2)
      assert.equal(2, assert(chat:refresh()).last_seq)
    end)

    it("may close the store, at any call", function()
      local CALLS = {
        append = function(chat) return assert(chat:append("user", "x")).seq == 1 end,
        create = function(_, store) return assert(store:user("alice"):create()).last_seq == 0 end,
        get = function(chat) return assert(chat:refresh()) == chat end,
        history = function(chat) return #assert(chat:history()) == 0 end,
        list = function(_, store) return #assert(store:user("alice"):list()) == 1 end,
        search = function(_, store) return #assert(store:user("alice"):search("x")) == 0 end,
        context = function(chat) return #assert(chat:context()) == 0 end,
        migrations = function(_, store) return #assert(store:migrations()) > 0 end,
        schema_version = function(_, store) return assert(store:schema_version()) > 0 end,
        delete = function(chat) return assert(chat:delete()) end,
        message = function(chat) return select(3, chat:message(1)) == "not_found" end,
        begin = function(_, store)
          check.raises("store is closed", store.transaction, store, function() error("not called") end)
          return true
        end,
        commit = function(_, store) return store:transaction(function() return true end) end,
        rollback = function(_, store) return not store:transaction(function() return nil, "no" end) end,
      }
      for name, call in pairs(CALLS) do
        local store
        local chat
        chat, store = fresh(function(event)
          if event.call == name and store then store:close() end
        end)
        assert.is_true(call(chat, store) and true, name)
        assert.equal("convstore.store (closed)", tostring(store), name)
        check.raises("closed", chat.append, chat, "user", "x")
      end
    end)

    it("is no reason for its store to stay, even where the function uses it", function()
      local gone = setmetatable({}, { __mode = "v" })
      do
        local chat, store = fresh()
        local n, other = 0, nil
        other = assert(convstore.open(":memory:", {
          slow_ms = 0,
          log = function() n = n + (other and 1 or 0) end,
        }))
        assert(other:user("alice"):conversation("k"))
        assert.equal(1, n)
        gone[1] = other
        assert(chat:append("user", "x"))
        assert.is_not_nil(store)
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(gone[1])
      assert.equal("slow/append", log:names())
    end)

    it("survives collection in the midst of its calls", function()
      local chat = fresh(function(event)
        log.write(event)
        collectgarbage()
      end)
      for _ = 1, 20 do
        assert(chat:append("user", ("x"):rep(100)))
        assert(#assert(chat:history()) > 0)
      end
      assert.equal(40, #log:of("slow"))
    end)

    it("is a plain function, and slow_ms any integer from 0 on", function()
      check.argument("log", convstore.open, ":memory:", { log = setmetatable({}, { __call = print }) })
      for _, right in ipairs({ 0, 1, 5.0, math.maxinteger }) do
        assert(convstore.open(":memory:", { slow_ms = right })):close()
      end
    end)
  end)
end

describe("the log of SQLite #sqlite", function()
  local log

  before_each(function() log = events.new() end)
  after_each(backends.clean)

  it("is told of a long wait for a lock, and what it was for", function()
    local store, database = backends.sqlite.fresh({ log = log.write, slow_ms = 60000, timeout = 10 })
    local chat = assert(store:user("alice"):conversation("k"))
    log:clear()
    local worker = database:start("hold")
    assert.equal("locked", worker:line())
    assert(shell.run(("(sleep 0.4; echo go >%s) >/dev/null 2>&1 &"):format(shell.quote(worker.fifo))))
    assert(chat:append("user", "x"))
    worker:finish()
    local event = log:only("wait")
    assert.equal("append", event.call)
    assert.equal("begin", event.statement)
    assert.is_true(event.elapsed_ms >= 100 and event.elapsed_ms < 5000, tostring(event.elapsed_ms))
    assert.truthy(event.message:find("bot.db", 1, true))
    log:clear()
    assert(chat:append("user", "y"))
    assert.equal("", log:names())
  end)

  it("is told of a wait that was in vain, before it is told that the call was slow", function()
    local store, database = backends.sqlite.fresh({ log = log.write, timeout = 0.3, slow_ms = 200 })
    local chat = assert(store:user("alice"):conversation("k"))
    log:clear()
    local holder = database:hold()
    local started = system.monotime()
    check.fails("busy", nil, chat:append("user", "x"))
    assert.is_true(system.monotime() - started < 3)
    holder:release()
    assert.equal("wait/append slow/append", log:names())
    assert.equal("busy", log:only("slow").code)
  end)
end)
