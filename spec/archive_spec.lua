-- store:archive: conversations whose messages lie in the archive read, search and fork as before, and an append brings
-- them back.
local system = require "system"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"
local rows = require "spec.support.rows"
local searches = require "spec.support.searches"

local FUTURE = os.time() * 1000 + 3600000

for _, backend in ipairs(backends) do
  describe("archive " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      local chat = assert(alice:conversation("k", { title = "T" }))
      assert(chat:append_many({
        { role = "system", content = "Be kind." },
        { role = "user", content = "a photo of a walrus", metadata = { a = 1 },
          attachments = { { name = "a" } } },
        { role = "assistant", tool_calls = { { id = "c" } }, name = "Eliza" },
        { role = "tool", content = { { type = "text", text = "walrus confirmed" } }, tool_call_id = "c" },
        { role = "user", content = "thanks", created_at = 5 },
      }))
      assert(chat:summarize("They met.", { through = 2 }))
      return chat, alice, store, database
    end

    local function archive(store, expected)
      assert.same(expected or { conversations = 1, messages = 5 },
        assert(store:archive({ idle_before = FUTURE })))
    end

    -- Everything that can be read of the conversation.
    local function everything(chat, alice)
      local messages = {}
      for message in chat:each({ role = { "user", "tool" } }) do messages[#messages + 1] = message end
      local list = assert(alice:list())
      list[1].status = nil -- the one thing that is to change
      local context, facts = assert(chat:context({ max_tokens = 1000 }))
      return {
        list = list, each = messages, history = assert(chat:history()), context = context, facts = facts,
        json = assert(chat:context_json({ format = "anthropic" })), one = assert(chat:message(2)),
        other = assert(chat:message(assert(chat:message(4)).id)), last = assert(chat:history({ limit = 2 })),
        messages = assert(alice:messages()), usage = assert(alice:usage()),
        days = assert(alice:usage({ by = "day" })), found = searches.places(alice, "walrus"),
      }
    end

    it("moves what was written last before a time, and changes nothing that is read", function()
      local chat, alice, store, database = fresh()
      local before = everything(chat, alice)
      local at = assert(chat:refresh()).updated_at
      assert.same({ conversations = 0, messages = 0 }, assert(store:archive({ idle_before = at })))
      assert.equal("active", assert(chat:refresh()).status)
      assert.same({ conversations = 1, messages = 5 }, assert(store:archive({ idle_before = at + 1 })))
      check.same_json(before, everything(chat, alice))
      assert.equal("archived", assert(chat:refresh()).status)
      assert.equal(at, chat.updated_at)
      assert.same({ conversations = 0, messages = 0 }, assert(store:archive({ idle_before = FUTURE })))
      if backend.shared then
        assert.equal(5, database:count("messages_archive"))
        assert.equal(0, database:count("messages"))
        database:assert_sound()
      end
    end)

    it("leaves a conversation that is closed so, and passes by one that is deleted", function()
      local chat, alice, store = fresh()
      assert(chat:update({ status = "closed" }))
      local deleted = assert(alice:create())
      assert(deleted:append("user", "x"))
      assert(deleted:delete())
      archive(store)
      assert.equal("closed", assert(chat:refresh()).status)
      assert.equal("active", assert(alice:get(deleted.id, { deleted = true })).status)
      assert(deleted:restore())
      archive(store, { conversations = 1, messages = 1 })
      assert(chat:append("user", "x"))
      assert.equal("closed", assert(chat:refresh()).status)
    end)

    it("stops at its limit and goes on where it stopped, over all users", function()
      local _, _, store = fresh()
      for i = 1, 6 do
        assert(assert(store:user("user" .. i):create()):append("user", "x"))
      end
      local conversations, messages = 0, 0
      for _, limit in ipairs({ 2, 4, 4 }) do
        local result = assert(store:archive({ idle_before = FUTURE, limit = limit }))
        conversations, messages = conversations + result.conversations, messages + result.messages
        assert.equal(math.min(7, conversations), conversations)
        assert.is_true(result.conversations == limit or conversations == 7)
      end
      assert.equal(7, conversations)
      assert.equal(11, messages)
    end)

    it("moves a conversation that is longer than a part, and what lies beside it", function()
      local chat, alice, store, database = fresh()
      local batch = {}
      for i = 1, 4500 do batch[i] = { role = "user", content = "x", token_count = 1 } end
      local long = assert(alice:create())
      assert(long:append_many(batch))
      archive(store, { conversations = 2, messages = 4505 })
      assert.equal(4500, #assert(long:history()))
      assert.equal(5, #assert(chat:history()))
      assert.equal(4505, assert(store:stats()).archived_messages)
      assert.equal(4501, assert(long:append("user", "back")).seq)
      assert.equal(5, assert(store:stats()).archived_messages)
      assert.equal(4501, #assert(long:history()))
      if backend.shared then database:assert_sound() end
    end)

    it("moves a conversation without messages, too", function()
      local _, alice, store = fresh()
      local empty = assert(alice:create())
      archive(store, { conversations = 2, messages = 5 })
      assert.equal("archived", assert(empty:refresh()).status)
      assert.equal(1, assert(empty:append("user", "x")).seq)
    end)

    it("is undone for a conversation by its next append, which makes it active", function()
      local chat, alice, store, database = fresh()
      local before = everything(chat, alice)
      archive(store)
      assert.equal(6, assert(chat:append("user", "back")).seq)
      assert.equal("active", assert(chat:refresh()).status)
      local history = assert(chat:history())
      check.same_json(before.history, table.move(history, 1, 5, 1, {}))
      assert.equal(before.found[1], searches.places(alice, "walrus")[1])
      if backend.shared then
        assert.equal(0, database:count("messages_archive"))
        database:assert_sound()
      end
      archive(store, { conversations = 1, messages = 6 })
      check.same_json(history, assert(chat:history()))
    end)

    it("lets a conversation be forked, changed, redacted and purged where it lies", function()
      local chat, alice, store, database = fresh()
      assert.equal(2, #searches.places(alice, "walrus"))
      archive(store)
      local fork = assert(chat:fork({ at = 4 }))
      assert.equal(4, #assert(fork:history()))
      assert.equal(4, #searches.places(alice, "walrus"))
      assert(fork:purge())
      check.same_json({ a = 1, b = 2 }, assert(chat:annotate(2, { b = 2 })).metadata)
      assert.equal("U", assert(chat:update({ title = "U" })).title)
      assert.is_nil(assert(chat:redact(2)).content)
      assert.is_nil(assert(chat:message(2)).content)
      assert.same({ chat.id .. "/4" }, searches.places(alice, "walrus"))
      if backend.shared then
        assert.equal(5, database:count("messages_archive"))
        database:assert_sound()
      end
      assert(chat:purge())
      assert.same({}, assert(alice:list()))
      if backend.shared then assert.equal(0, database:count("messages_archive")) end
    end)

    it("keeps what is found in a search index that was made before", function()
      local _, alice, store, database = fresh()
      local chats = {}
      for i = 1, 6 do
        chats[i] = assert(alice:create())
        assert(chats[i]:append_many(searches.filler(100)))
      end
      assert.equal(600, #searches.places(alice, "filler"))
      local segments = backend.shared and database:count("search_segments")
      archive(store, { conversations = 7, messages = 605 })
      if segments then assert.equal(segments, database:count("search_segments")) end
      assert.equal(600, #searches.places(alice, "filler"))
      assert(chats[1]:redact(50))
      assert(chats[2]:append("user", "filler back"))
      assert.equal(600, #searches.places(alice, "filler"))
    end)

    it("wants a time, and a limit of at least one", function()
      local _, _, store = fresh()
      check.fails("invalid", "idle_before", store:archive({}))
      check.fails("invalid", "^invalid: idle_before ", store:archive({ idle_before = -1 }))
      check.fails("invalid", "^invalid: limit ", store:archive({ idle_before = 1, limit = 0 }))
      check.argument("#1", store, "archive")
      check.argument("unknown option", store, "archive", { deleted_before = 1 })
    end)

    if not backend.shared then return end

    it("is undone once, where eight processes append at once", function()
      local chat, alice, store, database = fresh()
      local workers = {}
      for i = 1, 8 do workers[i] = database:start("append", { "k", 10, "w" .. i }) end
      for _, worker in ipairs(workers) do assert.equal("ready", worker:line()) end
      archive(store)
      for _, worker in ipairs(workers) do worker:tell("go") end
      -- And again, while they are at it.
      for _ = 1, 10 do assert(store:archive({ idle_before = FUTURE })) end
      for _, worker in ipairs(workers) do
        local output, ok, errors = worker:finish()
        assert.is_true(ok, output .. errors)
      end
      database:assert_sound()
      assert.equal(85, #assert(chat:history()))
      assert.equal(1, #assert(alice:list()))
    end)

    it("waits for a redaction that is under way, and the other way round", function()
      local chat, _, store, database = fresh()
      local other = database:open()
      local same = assert(other:user("alice"):conversation("k"))
      for seq = 2, 5 do
        assert(chat:append("user", "active"))
        assert(store:archive({ idle_before = FUTURE }))
        assert.is_nil(assert(same:redact(seq)).content)
      end
      assert.is_nil(assert(chat:message(5)).content)
      database:assert_sound()
    end)

    it("that is killed at any moment has moved each conversation whole or not at all", function()
      local source = random.new(77)
      local KEYS = 30
      local _, alice, _, database = fresh()
      local counts = {}
      for i = 1, KEYS do
        local chat = assert(alice:conversation("key " .. i))
        local batch = {}
        for n = 1, source:int(1, 30) do
          batch[n] = { role = "user", content = ("%d of %d"):format(n, i) }
        end
        assert(chat:append_many(batch))
        counts[i] = #batch
      end
      local moved = 0
      for _ = 1, 50 do
        local worker = database:start("archive_forever", { KEYS })
        assert.equal("started", worker:line())
        system.sleep(source:int(0, 15) / 1000)
        worker:kill()
        worker:finish()
        database:assert_sound()
        moved = math.max(moved, database:count("messages_archive"))
      end
      assert.is_true(moved > 0)
      for i = 1, KEYS do
        local history = assert(assert(alice:conversation("key " .. i)):history())
        for n = 1, counts[i] do
          assert.equal(("%d of %d"):format(n, i), history[n].content)
        end
        for n = counts[i] + 1, #history do assert.equal("back", history[n].content) end
      end
    end)

    it("orders by the last write: what lies idle longest goes first", function()
      local chat, alice, store, database = fresh()
      local older = assert(alice:create())
      rows.set_updated_at(database, older.id, 1000)
      rows.set_updated_at(database, chat.id, 2000)
      assert.equal(1, assert(store:archive({ idle_before = 3000, limit = 1 })).conversations)
      assert.equal("archived", assert(older:refresh()).status)
      assert.equal("active", assert(chat:refresh()).status)
    end)
  end)
end
