-- store:transaction: one unit, whatever ends it.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local system = require "system"

for _, backend in ipairs(backends) do
  describe("a transaction " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return store, assert(store:user("alice"):conversation("a")), database
    end

    local function contents(chat)
      local list = {}
      for i, message in ipairs(assert(chat:history())) do
        list[i] = message.content
      end
      return table.concat(list, " ")
    end

    describe("commits", function()
      it("and returns what the function returned, nils and all", function()
        local store, chat = fresh()
        local results = table.pack(store:transaction(function(...)
          assert(chat:append("user", "1"))
          return select("#", ...), nil, false, nil
        end, 1, nil, nil))
        assert.equal(4, results.n)
        assert.equal(3, results[1])
        assert.is_nil(results[2])
        assert.is_false(results[3])
        assert.equal("1", contents(chat))
      end)

      it("after nothing, nil alone, or false", function()
        local store, chat = fresh()
        local function write(...)
          local results = table.pack(...)
          return store:transaction(function()
            assert(chat:append("user", "x"))
            return table.unpack(results, 1, results.n)
          end)
        end
        assert.equal(0, select("#", write()))
        local results = table.pack(write(nil))
        assert.equal(1, results.n)
        assert.is_nil(results[1])
        assert.is_false((write(false, "not a failure")))
        assert.equal("x x x", contents(chat))
      end)

      it("with what several users and conversations wrote", function()
        local store, chat = fresh()
        local other = assert(store:transaction(function()
          assert(chat:append("user", "1"))
          local new = assert(store:user("bob"):create({ title = "T" }))
          assert(new:append("user", "2"))
          assert(chat:update({ title = "U" }))
          return new
        end))
        assert.equal("2", contents(other))
        assert.equal("U", assert(chat:refresh()).title)
      end)

      it("a hundred appends as one", function()
        local store, chat = fresh()
        assert(store:transaction(function()
          for i = 1, 100 do
            assert.equal(i, assert(chat:append("user", "x")).seq)
          end
          return true
        end))
        assert.equal(100, assert(chat:refresh()).last_seq)
      end)
    end)

    describe("rolls back", function()
      it("when the function raises, and raises the same again", function()
        local store, chat = fresh()
        for _, value in ipairs({ "text", { code = 5 }, 42, print, false }) do
          local ok, raised = pcall(store.transaction, store, function()
            assert(chat:append("user", "x"))
            error(value, 0)
          end)
          assert.is_false(ok)
          assert.equal(value, raised)
        end
        local ok, raised = pcall(store.transaction, store, function()
          assert(chat:append("user", "x"))
          error(nil)
        end)
        assert.is_false(ok)
        assert.is_nil(raised)
        assert.equal("", contents(chat))
        assert.equal(1, assert(chat:append("user", "y")).seq)
      end)

      it("when the function returns nil and a message, and returns these", function()
        local store, chat = fresh()
        local results = table.pack(store:transaction(function()
          assert(chat:append("user", "x"))
          return nil, "no", "code", nil, 5, nil
        end))
        assert.equal(6, results.n)
        assert.same({ nil, "no", "code", nil, 5 }, { table.unpack(results, 1, 5) })
        assert.equal("", contents(chat))
      end)

      it("a failed call that is handed on", function()
        local store, chat = fresh()
        check.fails("conflict", "expect", store:transaction(function()
          assert(chat:append("user", "x"))
          return chat:append("user", "y", { expect = 7 })
        end))
        assert.equal("", contents(chat))
      end)

      it("everything that was made in it", function()
        local store = fresh()
        local new
        store:transaction(function()
          new = assert(store:user("bob"):conversation("k", { title = "T" }))
          assert(new:append("user", "x"))
          return nil, "no"
        end)
        check.fails("not_found", nil, new:history())
        check.fails("not_found", nil, store:user("bob"):get(new.id))
        assert.is_nil(assert(store:user("bob"):conversation("k")).title)
      end)

      it("changes of every kind", function()
        local store, chat = fresh()
        assert(chat:append("user", "x"))
        local other = assert(store:user("alice"):conversation("other"))
        store:transaction(function()
          assert(chat:update({ title = "T", metadata = { a = 1 } }))
          assert(chat:annotate(1, { a = 1 }))
          assert(chat:redact(1))
          assert(chat:delete())
          assert(other:purge())
          return nil, "no"
        end)
        assert(chat:refresh())
        assert.is_nil(chat.title)
        assert.is_nil(chat.metadata)
        assert.equal("x", contents(chat))
        assert.is_nil(assert(chat:message(1)).metadata)
        assert(other:refresh())
      end)
    end)

    it("sees what it has written itself", function()
      local store, chat = fresh()
      assert(store:transaction(function()
        assert(chat:append("user", "1"))
        assert.equal("1", contents(chat))
        assert(chat:update({ title = "T" }))
        assert.equal("T", assert(store:user("alice"):conversation("a")).title)
        return true
      end))
    end)

    it("stays usable after a failed call", function()
      local store, chat = fresh()
      local id = assert(chat:append("user", "1")).id
      assert(store:transaction(function()
        check.fails("conflict", nil, chat:append("user", "x", { expect = 9 }))
        assert(chat:append("user", "2"))
        check.fails("conflict", nil, chat:append("user", "other", { id = id }))
        check.fails("conflict", nil, chat:append_many({ { role = "user", content = "x" },
          { role = "user", content = "other", id = id } }))
        check.fails("invalid", nil, chat:append("user", "\255"))
        check.fails("not_found", nil, chat:message(77))
        check.fails("conflict", nil, store:user("alice"):create({ key = "a" }))
        assert.is_false((pcall(chat.append, chat, 5)))
        assert(chat:append("user", "3"))
        return true
      end))
      assert.equal("1 2 3", contents(chat))
    end)

    describe("inside another", function()
      it("is undone alone", function()
        local store, chat = fresh()
        assert(store:transaction(function()
          assert(chat:append("user", "1"))
          check.fails("invalid", nil, store:transaction(function()
            assert(chat:append("user", "x"))
            return chat:append("user", "\255")
          end))
          assert.equal("1", contents(chat))
          local ok, raised = pcall(store.transaction, store, function()
            assert(chat:append("user", "y"))
            error("boom", 0)
          end)
          assert.is_false(ok)
          assert.equal("boom", raised)
          assert.equal("2", assert(store:transaction(function()
            return assert(chat:append("user", "2")).content
          end)))
          assert.equal("1 2", contents(chat))
          return true
        end))
        assert.equal("1 2", contents(chat))
      end)

      it("is undone with the outer one", function()
        local store, chat = fresh()
        store:transaction(function()
          assert(store:transaction(function()
            assert(chat:append("user", "1"))
            return true
          end))
          return nil, "no"
        end)
        assert.equal("", contents(chat))
      end)

      it("may be deep", function()
        local store, chat = fresh()
        local function down(level)
          assert(chat:append("user", tostring(level)))
          if level == 50 then
            return nil, "the innermost fails"
          end
          store:transaction(down, level + 1)
          return true
        end
        assert(store:transaction(down, 1))
        assert.equal(49, #assert(chat:history()))
      end)
    end)

    describe("in a coroutine", function()
      it("goes on after a yield", function()
        local store, chat = fresh()
        local co = coroutine.wrap(function(...)
          return store:transaction(function(a)
            assert(chat:append("user", a))
            local b, c = coroutine.yield("first", "yield")
            assert(chat:append("user", b))
            assert(chat:append("user", coroutine.yield(c)))
            return "done", nil
          end, ...)
        end)
        assert.same({ "first", "yield" }, { co("1") })
        assert.equal("z", co("2", "z"))
        local results = table.pack(co("3"))
        assert.equal(2, results.n)
        assert.equal("done", results[1])
        assert.equal("1 2 3", contents(chat))
      end)

      it("makes others wait their turn, telling them at once", function()
        local store, chat = fresh({ timeout = 60 })
        local co = coroutine.wrap(function()
          return store:transaction(function()
            assert(chat:append("user", "1"))
            coroutine.yield()
            return true
          end)
        end)
        co()
        local started = system.monotime()
        check.fails("busy", nil, chat:append("user", "x"))
        check.fails("busy", nil, chat:history())
        check.raises("^busy: ", function() return chat:each()() end)
        check.fails("busy", nil, store:transaction(function() error("never called") end))
        check.fails("busy", nil, store:user("alice"):conversation("b"))
        check.fails("busy", nil, coroutine.wrap(function() return chat:append("user", "x") end)())
        assert.is_true(system.monotime() - started < 5)
        assert.is_true(co())
        assert.equal("1", contents(chat))
        assert(chat:append("user", "2"))
      end)

      it("is rolled back by an error after a yield", function()
        local store, chat = fresh()
        local failure = {}
        local co = coroutine.create(function()
          return store:transaction(function()
            assert(chat:append("user", "1"))
            coroutine.yield()
            error(failure)
          end)
        end)
        assert.is_true(coroutine.resume(co))
        local ok, raised = coroutine.resume(co)
        assert.is_false(ok)
        assert.equal(failure, raised)
        assert.equal("", contents(chat))
      end)

      it("is rolled back by coroutine.close", function()
        local store, chat = fresh()
        local co = coroutine.create(function()
          return store:transaction(function()
            assert(chat:append("user", "1"))
            return store:transaction(function()
              assert(chat:append("user", "2"))
              coroutine.yield()
            end)
          end)
        end)
        assert.is_true(coroutine.resume(co))
        assert.is_true(coroutine.close(co))
        assert.equal("", contents(chat))
        assert.equal(1, assert(chat:append("user", "3")).seq)
      end)

      it("is rolled back when the coroutine is dropped", function()
        local store, chat = fresh()
        local co = coroutine.create(function()
          return store:transaction(function()
            assert(chat:append("user", "1"))
            coroutine.yield()
          end)
        end)
        assert.is_true(coroutine.resume(co))
        check.fails("busy", nil, chat:history())
        co = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        assert.equal("", contents(chat))
        assert.equal(1, assert(chat:append("user", "3")).seq)
      end)

      it("may be dropped together with its store", function()
        for _ = 1, 5 do
          local store = require("convstore").open(":memory:")
          local chat = assert(store:user("alice"):conversation("a"))
          local co = coroutine.create(function()
            return store:transaction(function()
              assert(chat:append("user", "1"))
              coroutine.yield()
            end)
          end)
          coroutine.resume(co)
        end
        collectgarbage()
        collectgarbage()
      end)

      it("is one of many, one after the other", function()
        local store, chat = fresh()
        for i = 1, 20 do
          local co = coroutine.wrap(function()
            return store:transaction(function()
              assert(chat:append("user", tostring(i)))
              coroutine.yield()
              if i % 2 == 0 then
                return nil, "no"
              end
              return true
            end)
          end)
          co()
          co()
        end
        assert.equal("1 3 5 7 9 11 13 15 17 19", contents(chat))
      end)
    end)

    it("ends when its store is closed, is rolled back, and raises", function()
      local store, chat, database = fresh()
      check.raises("closed", store.transaction, store, function()
        assert(chat:append("user", "1"))
        assert.is_true(store:close())
        return true
      end)
      check.raises("is closed", store.transaction, store, function() end)
      if backend.shared then
        local again = database:open()
        assert.equal("", contents(assert(again:user("alice"):conversation("a"))))
      end
    end)

    it("ends when its store is closed, wherever that is done", function()
      local places = {
        nested = function(store)
          return store:transaction(function() return store:close() end)
        end,
        behind_nested = function(store)
          assert(store:transaction(function() return true end))
          return store:close()
        end,
        coroutine = function(store)
          return coroutine.wrap(function() return store:close() end)()
        end,
        close_metamethod = function(store)
          local _ <close> = setmetatable({}, { __close = function() store:close() end })
          return true
        end,
        finalizer = function(store)
          setmetatable({}, { __gc = function() store:close() end })
          collectgarbage()
          return true
        end,
        finalizer_of_a_transaction = function(store)
          local dropped = coroutine.create(function()
            return store:transaction(function() coroutine.yield() end)
          end)
          assert(coroutine.resume(dropped))
          setmetatable({}, { __gc = function() store:close() end })
          dropped = nil -- luacheck: no unused
          collectgarbage()
          return true
        end,
        error_in_nested = function(store)
          return store:transaction(function()
            store:close()
            error("boom", 0)
          end)
        end,
      }
      for name, place in pairs(places) do
        local store, chat, database = fresh()
        local ok, raised = pcall(store.transaction, store, function()
          assert(chat:append("user", "1"))
          return place(store)
        end)
        assert.is_false(ok, name)
        assert.truthy(tostring(raised):find(name == "error_in_nested" and "boom" or "closed"), name)
        assert.equal("convstore.store (closed)", tostring(store), name)
        if backend.shared then
          assert.equal("", contents(assert(database:open():user("alice"):conversation("a"))), name)
        end
      end
    end)

    it("hands on the function's own error though the store was closed", function()
      local store = fresh()
      check.raises("^boom$", store.transaction, store, function()
        store:close()
        error("boom", 0)
      end)
    end)

    it("is no place for a migration", function()
      local store, chat = fresh()
      assert(store:transaction(function()
        check.fails("invalid", "transaction", store:migrate(0))
        check.fails("invalid", "transaction", store:migrate())
        assert(chat:append("user", "1"))
        return true
      end))
      assert.equal("1", contents(chat))
    end)

    it("wants a function", function()
      local store = fresh()
      check.argument("#1", store, "transaction")
      for _, wrong in ipairs({ 5, "x", true }) do
        check.argument("#1", store, "transaction", wrong)
      end
    end)

    it("gives schema where there is no schema, and calls nothing", function()
      local store = backend.fresh({ migrate = false })
      check.fails("schema", nil, store:transaction(function() error("never called") end))
    end)

    if backend.shared then
      it("is invisible to others until it commits", function()
        local store, chat, database = fresh()
        local other = assert(database:open():user("alice"):conversation("a"))
        assert(store:transaction(function()
          assert(chat:append("user", "1"))
          assert.equal("", contents(other))
          return true
        end))
        assert.equal("1", contents(other))
      end)

      if backend.one_writer then
        it("that can't begin gives busy at its timeout and calls nothing", function()
          local store, _, database = fresh()
          local other = database:open({ timeout = 0.1 })
          assert(store:transaction(function()
            local started = system.monotime()
            check.fails("busy", nil, other:transaction(function() error("never called") end))
            local waited = system.monotime() - started
            assert.is_true(waited >= 0.1 and waited < 5, tostring(waited))
            return true
          end))
          assert.is_true(other:transaction(function() return true end))
        end)
      end

      it("that a process does not live to end is not there", function()
        local _, chat, database = fresh()
        local worker = database:start("hold")
        assert.equal("locked", worker:line())
        worker:kill()
        worker:finish()
        assert.equal(1, assert(chat:append("user", "1")).seq)
      end)
    end
  end)
end
