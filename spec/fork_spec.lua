-- conv:fork: a new conversation that begins as another one did.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"
local rows = require "spec.support.rows"

local ROLES = { "user", "assistant", "system", "developer" }

for _, backend in ipairs(backends) do
  describe("a fork " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("k", { title = "T", metadata = { a = 1 }, status = "closed" })), alice,
        database, store
    end

    -- One message of each kind, annotated and redacted ones among them.
    local function fill(chat)
      assert(chat:append_many({
        { role = "system", content = "be nice", created_at = 5, token_count = 3 },
        { role = "user", content = { { type = "text", text = "look" } }, attachments = { { name = "a" } },
          metadata = { n = 12345678901234567 }, name = "Ann", token_count = 10 },
        { role = "assistant", tool_calls = { { id = "c" } }, token_count = 100 },
        { role = "tool", content = "42", tool_call_id = "c", token_count = 1000 },
        { role = "developer", content = "really", token_count = 10000 },
      }))
      assert(chat:annotate(2, { more = true }))
      assert(chat:redact(4))
    end

    -- The messages as they stand in another conversation.
    local function moved(messages, chat, n)
      local list = {}
      for i = 1, n do
        list[i] = {}
        for name, value in pairs(messages[i]) do list[i][name] = value end
        list[i].conversation_id = chat.id
      end
      return list
    end

    it("has all messages as they are, with ids, seqs and times, and nothing else of its source", function()
      local chat, alice = fresh()
      fill(chat)
      local history = assert(chat:history())
      local fork = assert(chat:fork())
      check.same_json(moved(history, fork, 5), assert(fork:history()))
      assert.equal("convstore.conversation: " .. fork.id, tostring(fork))
      check.uuid7(fork.id)
      for _, handle in ipairs({ fork, assert(alice:get(fork.id)) }) do
        assert.equal(5, handle.last_seq)
        assert.equal(5, handle.message_count)
        assert.equal(11113, handle.token_count)
        assert.equal("alice", handle.user_id)
        assert.equal("active", handle.status)
        assert.is_nil(handle.key)
        assert.is_nil(handle.title)
        assert.is_nil(handle.metadata)
        assert.same({ id = chat.id, seq = 5 }, handle.forked_from)
        assert.equal(handle.created_at, handle.updated_at)
        check.just_now(handle.created_at)
      end
      check.same_json(history, assert(chat:history()))
      assert.equal(5, assert(chat:refresh()).last_seq)
      assert.is_nil(chat.forked_from)
    end)

    it("takes messages up to at, none with 0, and what it is told to have", function()
      local chat = fresh()
      fill(chat)
      local history = assert(chat:history())
      local tokens = { [0] = 0, 3, 13, 113, 1113, 11113 }
      for at = 0, 5 do
        local fork = assert(chat:fork({ at = at + 0.0, title = "F", key = "f" .. at,
          metadata = { at = at } }))
        check.same_json(moved(history, fork, at), assert(fork:history()))
        assert.equal(at, fork.last_seq)
        assert.equal(tokens[at], fork.token_count)
        assert.same({ id = chat.id, seq = at }, fork.forked_from)
        assert.equal("F", fork.title)
        assert.equal("f" .. at, fork.key)
        check.same_json({ at = at }, fork.metadata)
        -- It goes on by itself.
        assert.equal(at + 1, assert(fork:append("user", "edited", { token_count = 7 })).seq)
        assert.equal(tokens[at] + 7, fork.token_count)
      end
      check.same_json(history, assert(chat:history()))
    end)

    it("of a fork, and of an empty conversation, is one, too", function()
      local chat, alice, database = fresh()
      fill(chat)
      local first = assert(chat:fork({ at = 4 }))
      assert(first:append("user", "other"))
      local second = assert(first:fork({ at = 5 }))
      local third = assert(second:fork({ at = 3 }))
      assert.same({ id = first.id, seq = 5 }, second.forked_from)
      assert.same({ id = second.id, seq = 3 }, third.forked_from)
      check.same_json(moved(assert(first:history()), second, 5), assert(second:history()))
      check.same_json(moved(assert(chat:history()), third, 3), assert(third:history()))
      local empty = assert(assert(alice:create()):fork())
      assert.equal(0, empty.last_seq)
      assert.equal(0, empty.forked_from.seq)
      assert(chat:purge())
      assert.equal(3, #assert(third:history()))
      assert.same({ id = chat.id, seq = 4 }, assert(first:refresh()).forked_from)
      if backend.shared then database:assert_sound() end
    end)

    it("with the same id again is the same fork", function()
      local chat, alice = fresh()
      fill(chat)
      local id = convstore.uuid()
      local fork = assert(chat:fork({ id = id, at = 3, title = "F" }))
      assert.equal(id, fork.id)
      assert(fork:append("user", "more"))
      local others = { { id = id, at = 3 }, { id = id, at = 3, title = "other", key = "new" }, { id = id } }
      for _, fields in ipairs(others) do
        local again = assert(chat:fork(fields))
        assert.equal(id, again.id)
        assert.equal("F", again.title)
        assert.equal(4, again.last_seq)
      end
      assert(chat:append("user", "meanwhile"))
      assert.equal(3, assert(chat:fork({ id = id })).forked_from.seq)
      assert.equal(2, #assert(alice:list()))
      check.fails("conflict", id, chat:fork({ id = id, at = 4 }))
      check.fails("conflict", id, chat:fork({ id = id, at = 0 }))
      check.fails("conflict", id, fork:fork({ id = id }))
      check.fails("conflict", chat.id, chat:fork({ id = chat.id }))
      check.fails("conflict", nil, chat:fork({ id = assert(alice:create()).id }))
      assert(fork:delete())
      check.fails("conflict", "deleted", chat:fork({ id = id, at = 3 }))
      assert(fork:purge())
      assert.equal(3, assert(chat:fork({ id = id, at = 3 })).last_seq)
    end)

    it("conflicts over a key that is taken, and gives the id to try again with", function()
      local chat, alice = fresh()
      fill(chat)
      local id = check.fails("conflict", "the key \"k\"", chat:fork({ key = "k" }))
      check.uuid7(id)
      assert.equal(1, #assert(alice:list()))
      assert.equal(id, assert(chat:fork({ key = "l", id = id })).id)
      assert(chat:update({ key = "m" }))
      assert.equal("k", assert(chat:fork({ key = "k" })).key)
    end)

    it("is refused where at is out of range, a value bad or the source gone", function()
      local chat, alice, _, store = fresh({ max_content_bytes = 1000 })
      fill(chat)
      for _, at in ipairs({ -1, 6, math.maxinteger, math.mininteger }) do
        check.uuid7((check.fails("invalid", "^invalid: at ", chat:fork({ at = at }))))
      end
      check.fails("invalid", "id", chat:fork({ id = "x" }))
      check.fails("invalid", "title", chat:fork({ title = ("x"):rep(2049) }))
      check.fails("invalid", "key", chat:fork({ key = "" }))
      check.fails("too_large", "metadata", chat:fork({ metadata = { a = ("x"):rep(1000) } }))
      check.argument("unknown field", chat, "fork", { status = "active" })
      check.argument("at", chat, "fork", { at = "1" })
      assert.equal(1, #assert(alice:list()))
      assert(chat:delete())
      check.uuid7((check.fails("not_found", chat.id, chat:fork())))
      assert.same({}, assert(alice:list()))
      -- Another user's conversation cannot be named; its id is free.
      local his = assert(store:user("bob"):create())
      assert(chat:restore())
      assert.equal(his.id, assert(chat:fork({ id = his.id })).id)
      assert.equal(0, assert(his:refresh()).last_seq)
    end)

    it("is undone with the transaction around it", function()
      local chat, alice, _, store = fresh()
      fill(chat)
      store:transaction(function()
        assert(chat:fork({ key = "f" }))
        return nil, "no"
      end)
      assert.equal(1, #assert(alice:list()))
      local fork
      assert(store:transaction(function()
        assert(chat:append("user", "6"))
        fork = assert(chat:fork({ key = "f" }))
        check.fails("conflict", nil, chat:fork({ key = "f" }))
        return true
      end))
      assert.equal(6, #assert(fork:history()))
    end)

    it("has the counters of the messages that it took, whatever they are", function()
      local source = random.new(41)
      local chat, _, database = fresh()
      local batch, sums = {}, { [0] = 0 }
      for i = 1, 60 do
        batch[i] = { role = source:pick(ROLES), content = "x", token_count = source:int(0, 100) }
        sums[i] = sums[i - 1] + batch[i].token_count
      end
      assert(chat:append_many(batch))
      for round = 1, 20 do
        local at = source:int(0, 60)
        assert.equal(sums[at], assert(chat:fork({ at = at })).token_count)
        if round == 10 and backend.shared then rows.archive(database, chat.id) end
      end
      if not backend.shared then return end
      -- What an append and a context go by: running totals without the system and developer messages.
      assert.equal("", (database:sql(([[
        SELECT f.id FROM %s AS f WHERE f.archived_seq = 0 AND (f.pinned_token_count <> (
          SELECT coalesce(sum(m.token_count), 0) FROM %s AS m WHERE m.conversation_id = f.id
             AND m.role IN ('system', 'developer')) OR f.token_count - f.pinned_token_count <> coalesce((
          SELECT m.token_total FROM %s AS m
           WHERE m.conversation_id = f.id AND m.seq = f.last_seq), 0));]]):format(
        database:table("conversations"), database:table("messages"), database:table("messages")))))
    end)

    if backend.shared then
      it("takes the summaries of what it took", function()
        local chat, _, database = fresh()
        fill(chat)
        for _, through in ipairs({ 2, 4, 3 }) do
          assert(chat:summarize("through " .. through, { through = through, metadata = { n = through } }))
        end
        local fork = assert(chat:fork({ at = 3 }))
        local function summaries(id)
          return database:sql(([[SELECT through, content, token_count, metadata FROM %s
            WHERE conversation_id = '%s' AND through <= 3 ORDER BY ordinal;]]):format(
            database:table("summaries"), id))
        end
        assert.truthy(summaries(fork.id):find("through 2.*through 3"))
        assert.equal(summaries(chat.id), summaries(fork.id))
        assert.equal(5, database:count("summaries"))
      end)

      it("of an archived conversation lies live, and leaves it archived", function()
        local chat, _, database = fresh()
        fill(chat)
        local history = assert(chat:history())
        rows.archive(database, chat.id)
        local fork = assert(chat:fork({ at = 4 }))
        check.same_json(moved(history, fork, 4), assert(fork:history()))
        assert.equal(1113, fork.token_count)
        assert.equal(5, database:count("messages_archive"))
        assert.equal(4, database:count("messages"))
        assert.equal(5, assert(fork:append("user", "x")).seq)
        check.same_json(history, assert(chat:history()))
      end)

      it("is one, where several processes ask for the same id at once", function()
        local chat, alice, database = fresh()
        for i = 1, 20 do assert(chat:append("user", tostring(i))) end
        local workers = {}
        for i = 1, 4 do workers[i] = database:start("fork_same", { "k", 20 }) end
        for _, worker in ipairs(workers) do assert.equal("ready", worker:line()) end
        for _, worker in ipairs(workers) do worker:tell("go") end
        for _, worker in ipairs(workers) do
          local output, ok, errors = worker:finish()
          assert.is_true(ok, output .. errors)
        end
        assert.equal(21, #assert(alice:list({ limit = 100 })))
        database:assert_sound()
      end)

      it("is whole while others append, and the counters are exact in the end", function()
        local chat, alice, database = fresh()
        local workers = {}
        for i = 1, 3 do workers[i] = database:start("append", { "k", 60, "w" .. i }) end
        for _, worker in ipairs(workers) do assert.equal("ready", worker:line()) end
        for _, worker in ipairs(workers) do worker:tell("go") end
        local forks = {}
        for i = 1, 25 do forks[i] = assert(chat:fork()) end
        for _, worker in ipairs(workers) do
          local output, ok, errors = worker:finish()
          assert.is_true(ok, output .. errors)
        end
        local history = assert(chat:history())
        assert.equal(180, #history)
        for _, fork in ipairs(forks) do
          assert.equal(fork.last_seq, fork.forked_from.seq)
          check.same_json(moved(history, fork, fork.last_seq), assert(fork:history()))
        end
        assert.equal(26, #assert(alice:list({ limit = 100 })))
        database:assert_sound()
      end)
    end
  end)
end
