-- Conversations of which a part lies in the archive: as `archive` leaves a long one between two of its parts, or when
-- it is killed, and as an append leaves one that it began to bring back. Nobody who reads or writes can tell.
local system = require "system"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local model = require "spec.support.history_model"
local random = require "spec.support.random"
local rows = require "spec.support.rows"
local searches = require "spec.support.searches"

local FUTURE = os.time() * 1000 + 3600000

for _, backend in ipairs(backends) do
  if backend.shared then describe("a conversation that is archived in part " .. backend.tags, function()
    after_each(backends.clean)

    local function until_true(test)
      local deadline = system.monotime() + 60
      while not test() do assert(system.monotime() < deadline, "it never came so far") end
    end

    local function batch(n)
      local messages = {}
      for i = 1, n do messages[i] = { role = "user", content = "message " .. i, token_count = 1 } end
      return messages
    end

    -- A conversation of n messages of random roles, of which `upto` lie in the archive.
    local function fresh(source, n, upto)
      local store, database = backend.fresh()
      local alice = store:user("alice")
      local chat = assert(alice:conversation("k"))
      local roles = model.random_roles(source, n)
      model.fill(chat, roles)
      rows.archive(database, chat.id, upto)
      database:assert_sound()
      return chat, roles, alice, store, database
    end

    it("has the history that the model has, wherever it is parted", function()
      local source = random.new(23)
      for _, upto in ipairs({ 1, 25, 49 }) do
        local chat, roles, _, store = fresh(source, 50, upto)
        for _ = 1, 120 do
          local options = model.random_options(source, #roles)
          local seqs = {}
          for i, message in ipairs(assert(chat:history(options))) do seqs[i] = message.seq end
          local expected = table.concat(model.seqs(roles, options), " ")
          assert.equal(expected, table.concat(seqs, " "), model.describe(options))
          local each = {}
          if not options.order then
            for message in chat:each(options) do each[#each + 1] = message.seq end
            assert.equal(expected, table.concat(each, " "), "each " .. model.describe(options))
          end
        end
        store:close()
      end
    end)

    it("has the contexts, lists, sums and hits that it had, and its messages by seq and by id", function()
      local source = random.new(29)
      for _ = 1, 3 do
        local store, database = backend.fresh()
        local alice = store:user("alice")
        local chat = assert(alice:conversation("k"))
        local n = source:int(20, 60)
        model.fill(chat, model.random_roles(source, n))
        assert(chat:summarize("so far", { through = source:int(1, n) }))
        local function seen()
          local answer = {
            list = assert(alice:list())[1].last_message, usage = assert(alice:usage()), each = {},
            messages = assert(alice:messages({ limit = 1000 })), found = searches.places(alice, "7"),
            problems = assert(store:check()),
          }
          for _, tokens in ipairs({ 5, 20, 60, 1000 }) do
            for _, with_system in ipairs({ true, false }) do
              local context, facts = chat:context({ max_tokens = tokens, system = with_system })
              answer["context " .. tokens .. tostring(with_system)] = { context or "none", facts }
            end
          end
          for seq = 1, n do
            answer.each[seq] = assert(chat:message(seq))
            check.same_json(answer.each[seq], assert(chat:message(answer.each[seq].id)))
          end
          return answer
        end
        local before = seen()
        for _, upto in ipairs({ 1, n // 2, n - 1 }) do
          rows.archive(database, chat.id, upto)
          database:assert_sound()
          check.same_json(before, seen())
          local at = source:int(1, n)
          local fork = assert(chat:fork({ at = at }))
          assert.equal(assert(chat:message(at)).id, assert(fork:message(at)).id)
          assert.equal(at, #assert(fork:history()))
          database:assert_sound()
          assert(fork:purge())
        end
        store:close()
      end
    end)

    it("is annotated, redacted and shrunk where each message lies", function()
      local chat, _, alice, _, database = fresh(random.new(31), 20, 10)
      for _, seq in ipairs({ 1, 10, 11, 20 }) do
        check.same_json({ a = seq }, assert(chat:annotate(seq, { a = seq })).metadata)
        assert.is_nil(assert(chat:redact(seq)).content)
        assert.is_nil(assert(chat:message(seq)).content)
      end
      check.fails("not_found", nil, chat:annotate(21, {}))
      database:assert_sound()
      assert(chat:purge())
      assert.equal(0, database:count("messages"))
      assert.equal(0, database:count("messages_archive"))
      assert.same({}, assert(alice:list()))
    end)

    it("takes appends, and knows what is sent again, wherever that lies", function()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      for _, sent in ipairs({ 1, 3 }) do
        local chat = assert(alice:create())
        local messages = assert(chat:append_many(batch(2500)))
        local function again(message, content)
          local list = {
            { role = "user", content = content or message.content, id = message.id, token_count = 1 },
          }
          for i = 2, sent do
            list[i] = { role = "user", content = "message " .. message.seq + i - 1, token_count = 1,
              id = messages[message.seq + i - 1].id }
          end
          return chat:append_many(list)
        end
        -- In the archive also when the next part is back, only before that, and not at all.
        for _, seq in ipairs({ 5, 1500, 2490 }) do
          rows.archive(database, chat.id, 2000)
          check.same_json(messages[seq], assert(again(messages[seq]))[1])
          check.fails("conflict", nil, again(messages[seq], "other"))
          assert.equal(2500, assert(chat:refresh()).last_seq)
          database:assert_sound()
        end
        check.fails("conflict", nil, chat:append("user", "x", { expect = 2499 }))
        check.fails("conflict", nil, chat:append_many({
          { role = "user", content = "message 5", token_count = 1, id = messages[5].id },
          { role = "user", content = "new" },
        }))
        assert.equal(2501, assert(chat:append("user", "new", { expect = 2500 })).seq)
        assert.equal(2502, assert(chat:append("user", "newer")).seq)
        database:assert_sound()
        assert.equal(2502, #assert(chat:history()))
        assert(chat:purge())
      end
    end)

    it("is brought back part by part, one for each append", function()
      local store, database = backend.fresh()
      local chat = assert(store:user("alice"):create())
      assert(chat:append_many(batch(2500)))
      rows.archive(database, chat.id, 2400)
      local before = 2400
      for i = 1, 400 do
        assert.equal(2500 + i, assert(chat:append("user", "x")).seq)
        local left = database:count("messages_archive")
        assert.is_true(left < before and left >= before - 1000, left .. " of " .. before)
        before = left
        database:assert_sound()
        if left == 0 then break end
      end
      assert.equal(0, before)
    end)

    it("is brought back by the next append where that was killed while it did so", function()
      local store, database = backend.fresh()
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append_many(batch(20000)))
      assert(store:archive({ idle_before = FUTURE }))
      local parted = false
      for _ = 1, 30 do
        local worker = database:start("append", { "k", 1, "w" })
        assert.equal("ready", worker:line())
        worker:tell("go")
        local left
        until_true(function()
          left = database:count("messages_archive")
          return left < 20000
        end)
        worker:kill()
        worker:finish()
        database:settle()
        database:assert_sound()
        left = database:count("messages_archive")
        parted = left > 0
        if parted then break end
        assert(store:archive({ idle_before = FUTURE }))
      end
      assert.is_true(parted, "no append was killed between two parts")
      local n = assert(chat:refresh()).last_seq
      assert.equal(n + 1, assert(chat:append("user", "back")).seq)
      assert.equal(0, database:count("messages_archive"))
      database:assert_sound()
    end)

    it("is archived to its end by the next `archive`, which counts what it moved", function()
      local _, _, _, store, database = fresh(random.new(41), 20, 10)
      assert.same({ conversations = 1, messages = 10 }, assert(store:archive({ idle_before = FUTURE })))
      assert.equal(20, database:count("messages_archive"))
      database:assert_sound()
      assert.same({ conversations = 0, messages = 0 }, assert(store:archive({ idle_before = FUTURE })))
    end)

    it("goes with the purge of what lies idle, also where a part takes less than all", function()
      local store, database = backend.fresh()
      local chat = assert(store:user("alice"):conversation("long"))
      assert(chat:append_many(batch(3500)))
      for _, upto in ipairs({ 3000, 500 }) do
        local copy = assert(chat:fork())
        rows.archive(database, copy.id, upto)
        rows.set_updated_at(database, copy.id, 1000)
        assert.same({ conversations = 1, messages = 3500 }, assert(store:purge({ idle_before = 2000 })))
        database:assert_sound()
        assert.equal(0, database:count("messages_archive"))
        assert.equal(3500, database:count("messages"))
      end
    end)

    it("is left by an `archive` that is killed, and read whole then", function()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      local long = assert(alice:conversation("key 1"))
      assert(long:append_many(batch(5000)))
      local parted = false
      for _ = 1, 30 do
        local worker = database:start("archive_forever", { 1 })
        assert.equal("started", worker:line())
        local n
        until_true(function()
          n = database:count("messages_archive")
          return n > 0
        end)
        worker:kill()
        worker:finish()
        database:settle()
        database:assert_sound()
        n = database:count("messages_archive")
        parted = parted or (n > 0 and database:count("messages") > 0)
        local history = assert(long:history())
        for i = 1, 5000 do assert.equal("message " .. i, history[i].content) end
        if parted then break end
      end
      assert.is_true(parted, "no run of archive was killed between two parts")
      assert.same({}, assert(store:check()))
    end)

    it("lets others append between its parts", function()
      local store, database = backend.fresh()
      local long = assert(store:user("alice"):conversation("key 1"))
      assert(long:append_many(batch(10000)))
      local busy = assert(store:user("bob"):conversation("other"))
      local worker = database:start("archive_forever", { 1 })
      assert.equal("started", worker:line())
      local between = 0
      until_true(function()
        local before = database:count("messages_archive")
        assert(busy:append("user", "x"))
        local after = database:count("messages_archive")
        if before > 0 and after > before and after < 10000 then between = between + 1 end
        return between > 0 or after >= 10000
      end)
      worker:kill()
      worker:finish()
      assert.is_true(between > 0, "no append came between two parts")
    end)
  end) end
end
