-- store:purge: what goes, what stays, and that it goes in parts that leave everything sound.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local rows = require "spec.support.rows"
local searches = require "spec.support.searches"

local FUTURE = os.time() * 1000 + 3600000

for _, backend in ipairs(backends) do
  describe("purge " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return store, store:user("alice"), database
    end

    local function filled(user, key, n, text)
      local chat = assert(user:conversation(key))
      local batch = {}
      for i = 1, n do
        batch[i] = { role = i % 7 == 1 and "system" or "user", content = (text or "message %d"):format(i) }
      end
      assert(chat:append_many(batch))
      return chat
    end

    local function gone(user, chat)
      check.fails("not_found", chat.id, user:get(chat.id, { deleted = true }))
    end

    it("deletes what was soft-deleted before a time, and nothing else", function()
      local store, alice = fresh()
      local kept, chat = filled(alice, "a", 3), filled(alice, "b", 2)
      assert(chat:delete())
      local at = assert(alice:get(chat.id, { deleted = true })).deleted_at
      assert.same({ conversations = 0, messages = 0 }, assert(store:purge({ deleted_before = at })))
      assert.equal(2, assert(alice:get(chat.id, { deleted = true })).last_seq)
      assert.same({ conversations = 1, messages = 2 }, assert(store:purge({ deleted_before = at + 1 })))
      gone(alice, chat)
      assert.same({ conversations = 0, messages = 0 }, assert(store:purge({ deleted_before = FUTURE })))
      assert.equal(3, #assert(kept:history()))
    end)

    it("deletes what was written last before a time, deleted or not", function()
      local store, alice = fresh()
      local live, deleted = filled(alice, "a", 3), filled(alice, "b", 2)
      assert(deleted:delete())
      local at = math.max(assert(live:refresh()).updated_at,
        assert(alice:get(deleted.id, { deleted = true })).updated_at)
      assert.same({ conversations = 0, messages = 0 }, assert(store:purge({ idle_before = 0 })))
      assert.same({ conversations = 2, messages = 5 }, assert(store:purge({ idle_before = at + 1 })))
      gone(alice, live)
      gone(alice, deleted)
    end)

    it("compares with the last write, not with a time that was imported", function()
      local store, alice = fresh()
      local chat = assert(alice:create({ created_at = 5 }))
      assert(chat:append("user", "x", { created_at = 6 }))
      assert.equal(0, assert(store:purge({ idle_before = 1000 })).conversations)
      assert.equal(1, #assert(chat:history()))
    end)

    it("goes over all users, and counts what lies in the archive and what is empty", function()
      local store, alice = fresh()
      local bob = store:user("bob")
      filled(alice, "a", 4)
      filled(bob, "b", 5)
      assert.same({ conversations = 2, messages = 9 }, assert(store:archive({ idle_before = FUTURE })))
      assert(bob:create())
      assert(assert(alice:create()):delete())
      assert.same({ conversations = 4, messages = 9 }, assert(store:purge({ idle_before = FUTURE })))
      assert.same({}, assert(alice:list({ deleted = "any" })))
      assert.same({}, assert(bob:list({ deleted = "any" })))
    end)

    it("stops at its limit and goes on where it stopped", function()
      local store, alice = fresh()
      for i = 1, 7 do filled(alice, "k" .. i, i) end
      local conversations, messages = 0, 0
      for _, limit in ipairs({ 3, 1, 2.0 }) do
        local result = assert(store:purge({ idle_before = FUTURE, limit = limit }))
        assert.equal(limit, result.conversations)
        conversations, messages = conversations + result.conversations, messages + result.messages
        assert.equal(7 - conversations, #assert(alice:list()))
      end
      local last = assert(store:purge({ idle_before = FUTURE, limit = 3 }))
      assert.equal(1, last.conversations)
      assert.equal(28, messages + last.messages)
    end)

    it("takes more conversations than fit into a part", function()
      local store, alice = fresh()
      assert(store:transaction(function()
        for i = 1, 450 do filled(alice, "k" .. i, 1) end
        return true
      end))
      assert.same({ conversations = 430, messages = 430 },
        assert(store:purge({ idle_before = FUTURE, limit = 430 })))
      assert.same({ conversations = 20, messages = 20 }, assert(store:purge({ idle_before = FUTURE })))
    end)

    it("takes a conversation that is longer than a part, live or archived", function()
      local store, alice = fresh()
      for round = 1, 2 do
        local chat = filled(alice, "long", 5000)
        assert(chat:summarize("early", { through = 10 }))
        assert(chat:summarize("late", { through = 4990 }))
        local other = filled(alice, "short", 30)
        if round == 2 then
          assert.equal(5030, assert(store:archive({ idle_before = FUTURE })).messages)
        end
        assert.same({ conversations = 2, messages = 5030 }, assert(store:purge({ idle_before = FUTURE })))
        gone(alice, chat)
        gone(alice, other)
      end
    end)

    it("takes what it deletes out of the search index, and leaves the rest found", function()
      local store, alice, database = fresh()
      local deleted = filled(alice, "a", 200, "common word %d")
      filled(alice, "b", 200, "common term %d")
      assert.equal(400, #searches.places(alice, "common"))
      assert(deleted:delete())
      assert.equal(1, assert(store:purge({ deleted_before = FUTURE })).conversations)
      if backend.shared then
        assert.equal(0, database:count("search_segments"))
        assert.equal(0, database:count("search_postings"))
      end
      for _ = 1, 2 do
        assert.equal(200, #searches.places(alice, "common"))
        assert.same({}, searches.places(alice, "word"))
      end
      if backend.shared then database:assert_sound() end
    end)

    it("wants a time, and a limit of at least one", function()
      local store = fresh()
      check.fails("invalid", "deleted_before and idle_before", store:purge({}))
      check.fails("invalid", "deleted_before and idle_before", store:purge({ limit = 5 }))
      check.fails("invalid", "^invalid: limit ", store:purge({ idle_before = 1, limit = 0 }))
      check.fails("invalid", "^invalid: deleted_before ", store:purge({ deleted_before = -1 }))
      check.fails("invalid", "^invalid: idle_before ", store:purge({ idle_before = 253402300800000 }))
      check.argument("#1", store, "purge")
      check.argument("#1", store, "purge", 5)
      check.argument("unknown option", store, "purge", { before = 1 })
      check.argument("deleted_before", store, "purge", { deleted_before = "1" })
    end)

    it("and archive are refused in a transaction, which stays usable", function()
      local store, alice = fresh()
      assert(store:transaction(function()
        local chat = filled(alice, "a", 1)
        check.fails("invalid", "outside store:transaction", store:purge({ idle_before = FUTURE }))
        check.fails("invalid", "outside store:transaction", store:archive({ idle_before = FUTURE }))
        assert(chat:append("user", "x"))
        return true
      end))
      assert.equal(2, assert(alice:conversation("a")).last_seq)
    end)

    if not backend.shared then return end

    it("ends where a conversation counts messages that it does not have", function()
      local _, alice, database = fresh()
      for i = 1, 3 do
        local chat = filled(alice, "k" .. i, 1100)
        database:sql(("UPDATE %s SET last_seq = %d WHERE id = '%s';"):format(
          database:table("conversations"), i == 1 and 9000000000000000 or 5000, chat.id))
      end
      assert(alice:erase())
      assert.equal(0, database:count("conversations"))
      assert.equal(0, database:count("messages"))
    end)

    it("takes either of two reasons", function()
      local store, alice, database = fresh()
      local both, one, other, none =
        filled(alice, "a", 1), filled(alice, "b", 2), filled(alice, "c", 4), filled(alice, "d", 8)
      for _, chat in ipairs({ both, one }) do
        assert(chat:delete())
        rows.set_deleted_at(database, chat.id, 1000)
      end
      rows.set_updated_at(database, both.id, 2000)
      rows.set_updated_at(database, other.id, 2000)
      assert.same({ conversations = 0, messages = 0 },
        assert(store:purge({ deleted_before = 1000, idle_before = 2000 })))
      assert.same({ conversations = 3, messages = 7 },
        assert(store:purge({ deleted_before = 1001, idle_before = 2001 })))
      assert.equal(8, #assert(none:history()))
    end)

    it("that is killed in a long conversation leaves less of it, sound, and later goes on", function()
      local store, alice, database = fresh()
      local left
      for attempt = 1, 20 do
        local chat = filled(alice, "long", 10000)
        assert(chat:summarize("late", { through = 9990 }))
        if attempt % 2 == 0 then assert(store:archive({ idle_before = FUTURE })) end
        local updated_at = chat:refresh().updated_at
        local worker = database:start("purge")
        assert.equal("started", worker:line())
        local seen
        repeat
          seen = alice:get(chat.id, { deleted = true })
        until not seen or seen.last_seq < 10000
        worker:kill()
        worker:finish()
        database:settle()
        database:assert_sound()
        left = alice:get(chat.id, { deleted = true })
        if left then
          assert.is_true(left.last_seq < 10000 and left.last_seq > 0)
          assert.equal(updated_at, left.updated_at)
          check.just_now(left.deleted_at)
          check.fails("not_found", nil, chat:append("user", "x"))
          -- The key is free again.
          assert(assert(alice:conversation("long")):purge())
          assert.same({ conversations = 1, messages = left.last_seq },
            assert(store:purge({ idle_before = updated_at + 1 })))
          gone(alice, chat)
          break
        end
      end
      assert.is_truthy(left, "it was always done before it could be killed")
    end)

    it("of half of many conversations fails no append of others meanwhile", function()
      local store, alice, database = fresh()
      for i = 1, 60 do filled(store:user("user" .. i % 7), "old " .. i, 100) end
      database:backdate()
      local workers = {}
      for i = 1, 4 do workers[i] = database:start("append", { "k" .. i % 2, 60, "w" .. i }) end
      for _, worker in ipairs(workers) do assert.equal("ready", worker:line()) end
      for _, worker in ipairs(workers) do worker:tell("go") end
      local archived = assert(store:archive({ idle_before = 1000, limit = 30 }))
      local purged = assert(store:purge({ idle_before = 1000 }))
      for _, worker in ipairs(workers) do
        local output, ok, errors = worker:finish()
        assert.is_true(ok, output .. errors)
      end
      assert.same({ conversations = 30, messages = 3000 }, archived)
      assert.same({ conversations = 60, messages = 6000 }, purged)
      assert.equal(240, assert(alice:usage()).messages)
      database:assert_sound()
    end)

    it("leaves nothing behind where two do it at once", function()
      local store, alice, database = fresh()
      for i = 1, 300 do filled(store:user("user" .. i % 5), "old " .. i, 10) end
      for i = 0, 4 do assert(store:user("user" .. i):search("message")) end
      local workers = {}
      for i = 1, 2 do workers[i] = database:start("purge") end
      for _, worker in ipairs(workers) do
        local output, ok, errors = worker:finish()
        assert.is_true(ok, output .. errors)
      end
      assert.same({}, assert(alice:list({ deleted = "any" })))
      for _, name in ipairs({ "conversations", "messages", "search_segments" }) do
        assert.equal(0, database:count(name))
      end
    end)
  end)
end
