-- The index behind user:search: that it is never wrong, whoever writes, redacts, dies or damages it meanwhile.
local system = require "system"
local backends = require "spec.support.backends"
local model = require "spec.support.search_model"
local random = require "spec.support.random"
local searches = require "spec.support.searches"

local found, found_set, filler, ENOUGH = searches.found, searches.found_set, searches.filler, searches.ENOUGH

for _, backend in ipairs(backends) do
  describe("the search index " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      return alice, assert(alice:conversation("a")), store, database
    end

    it("leaves nothing of redacted and purged messages in the index", function()
      local alice, chat, _, database = fresh()
      local other = assert(alice:conversation("b"))
      assert(chat:append("user", "sesame1 stays"))
      assert(chat:append("user", "sesame2 is redacted"))
      assert(other:append("user", "sesame3 is purged"))
      assert(chat:append_many(filler(ENOUGH)))
      assert.equal(1, #assert(alice:search("sesame2")))
      local function index_has(word)
        local hex = word:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
        local as_hex = backend.bytes == "bytea" and "encode(postings, 'hex')" or "lower(hex(postings))"
        return tonumber(database:sql(("SELECT count(*) FROM %s WHERE %s LIKE '%%%s%%';"):format(
          database:table("search_postings"), as_hex, hex))) > 0
      end
      if not backend.shared then return end
      for _, word in ipairs({ "sesame1", "sesame2", "sesame3" }) do assert.is_true(index_has(word)) end
      assert(chat:redact(2))
      assert(other:purge())
      assert.is_false(index_has("sesame2"))
      assert.is_false(index_has("sesame3"))
      assert.equal(1, #assert(alice:search("sesame1")))
      assert.is_true(index_has("sesame1"))
      assert.same({}, assert(alice:search("sesame2")))
      assert(chat:purge())
      assert.equal(0, database:count("search_postings"))
      assert.equal(0, database:count("search_segments"))
    end)

    it("never shows messages of a transaction that was rolled back", function()
      local alice, chat, store = fresh()
      assert(chat:append("user", "date 1"))
      for _, n in ipairs({ 1, ENOUGH }) do
        store:transaction(function()
          assert(chat:append("user", "date 2"))
          assert(chat:append_many(filler(n)))
          assert.same({ "date 1", "date 2" }, found_set(alice, "date"))
          return nil, "no"
        end)
        assert.same({ "date 1" }, found(alice, "date"))
      end
    end)

    it("finds what was appended since the last search, in forks too", function()
      local alice, chat = fresh()
      for round = 1, 4 do
        assert(chat:append_many(filler(ENOUGH)))
        assert(chat:append("user", "pear " .. round))
        assert.equal(round, #assert(alice:search("pear")))
        assert.equal(1, #assert(alice:search("pear " .. round)))
      end
      assert(chat:fork())
      assert.equal(8, #assert(alice:search("pear")))
      assert.equal(8 * ENOUGH, #searches.places(alice, "filler"))
    end)

    it("answers as the model while conversations are changed", function()
      for round = 1, 3 do
        local source = random.new(round)
        local alice, _, _, database = fresh()
        local chats, texts = {}, {}
        local function append(chat, n)
          local batch = {}
          for i = 1, n do
            batch[i] = { role = "user", content = model.random_text(source, 12) }
          end
          for _, message in ipairs(assert(chat:append_many(batch))) do
            texts[chat.id][message.seq] = message.content
          end
        end
        for i = 1, 5 do
          chats[i] = assert(alice:create())
          texts[chats[i].id] = {}
          append(chats[i], source:int(1, 250))
        end
        for step = 1, 25 do
          local i = source:int(1, #chats)
          local chat, kind = chats[i], source:int(1, 10)
          if kind <= 4 then
            append(chat, source:pick({ 1, 2, 60, 280 }))
          elseif kind <= 7 then
            local seq = source:int(1, chat.last_seq)
            assert(chat:redact(seq))
            texts[chat.id][seq] = nil
          elseif kind == 8 then
            assert(chat:purge())
            texts[chat.id] = nil
            chats[i] = assert(alice:create())
            texts[chats[i].id] = {}
            append(chats[i], 20)
          else
            local at = source:int(1, chat.last_seq)
            local fork = assert(chat:fork({ at = at }))
            texts[fork.id] = {}
            for seq, text in pairs(texts[chat.id]) do
              if seq <= at then texts[fork.id][seq] = text end
            end
            chats[#chats + 1] = fork
          end
          local query = model.random_query(source)
          local expected = {}
          for id, list in pairs(texts) do
            for seq, text in pairs(list) do
              if model.finds(query, text) then expected[#expected + 1] = id .. "/" .. seq end
            end
          end
          table.sort(expected)
          assert.same(expected, searches.places(alice, query),
            ("round %d, step %d: %s"):format(round, step, query))
        end
        if backend.shared then database:assert_sound() end
      end
    end)

    if backend.shared then
      it("keeps its index sound when processes append, redact and search at once", function()
        local _, _, _, database = fresh()
        local workers = {}
        for i = 1, 4 do
          workers[i] = database:start("search_and_append", { tostring(i), "12" })
        end
        for _, worker in ipairs(workers) do
          local output, ok, errors = worker:finish()
          assert.is_true(ok, errors)
          assert.equal("done\n", output)
        end
        local store = database:open()
        local alice = store:user("alice")
        local runs = database:table("search_runs")
        assert.equal("0\n", database:sql(([[
          SELECT count(*) FROM %s AS a JOIN %s AS b
              ON b.user_id = a.user_id AND b.conversation_id = a.conversation_id
             AND b.first_seq > a.first_seq AND b.first_seq <= a.last_seq;]]):format(runs, runs)))
        assert.is_true(database:count("search_segments") > 0)
        -- Each worker has appended 12 × 40 messages with the word, and redacted one of each 40.
        local places, seen = searches.places(alice, "shared"), {}
        for _, place in ipairs(places) do
          assert.is_nil(seen[place])
          seen[place] = true
        end
        assert.equal(4 * 12 * 39, #places)
        database:assert_sound()
      end)

      it("finds everything when an indexing process was killed", function()
        local alice, chat, _, database = fresh()
        local batch = {}
        for i = 1, 6000 do
          batch[i] = { role = "user", content = "grape number " .. i .. (" and some more words"):rep(5) }
        end
        assert(chat:append_many(batch))
        for round = 1, 4 do
          local worker = database:start("search", { "grape" })
          assert.equal("ready", worker:line())
          worker:tell("go")
          system.sleep(0.02 * round)
          worker:kill()
          worker:finish()
        end
        assert.equal(6000, #searches.places(alice, "grape"))
        assert.equal(1, #assert(alice:search('"number 4711"')))
      end)

      it("waits for nobody who has a transaction open", function()
        local alice, chat, _, database = fresh()
        assert(chat:append("user", "plum"))
        assert(chat:append_many(filler(2 * ENOUGH)))
        local other = database:open()
        assert(other:transaction(function()
          assert(assert(other:user("alice"):get(chat.id)):append("user", "not yet a plum"))
          local started = system.monotime()
          assert.same({ "plum" }, found(alice, "plum"))
          assert.is_true(system.monotime() - started < 5)
          return true
        end))
        assert.same({ "not yet a plum", "plum" }, found_set(alice, "plum"))
      end)

      it("makes a damaged index anew", function()
        local alice, chat, _, database = fresh()
        assert(chat:append_many(filler(ENOUGH)))
        assert(chat:append("user", "plum"))
        assert(chat:append_many(filler(ENOUGH)))
        for _, damage in ipairs({
          "UPDATE %s SET messages = %s;", "UPDATE %s SET messages = %s || messages;",
        }) do
          assert.same({ "plum" }, found(alice, "plum"))
          local bytes = backend.bytes == "bytea" and "'\\xff01'::bytea" or "x'ff01'"
          if backend.bytes ~= "bytea" then damage = damage:gsub("= (.*);", "= CAST(%1 AS BLOB);") end
          database:sql(damage:format(database:table("search_segments"), bytes))
          assert.same({ "plum" }, found(alice, "plum"))
          assert.same({ "plum" }, found(alice, "plum"))
        end
        local bytes = backend.bytes == "bytea" and "'\\x01ffff'::bytea" or "x'01ffff'"
        database:sql(("UPDATE %s SET postings = %s;"):format(database:table("search_postings"), bytes))
        assert.same({ "plum" }, found(alice, "plum"))
      end)

      it("reads a store that may not be written as it is", function()
        local alice, chat, _, database = fresh()
        assert(chat:append("user", "plum"))
        assert(chat:append_many(filler(2 * ENOUGH)))
        local reader = database:open({ readonly = true }):user("alice")
        assert.same({ "plum" }, found(reader, "plum"))
        assert.equal(0, database:count("search_segments"))
        assert.same({ "plum" }, found(alice, "plum"))
        assert(chat:append("user", "plum too"))
        assert(chat:append_many(filler(2 * ENOUGH)))
        assert.same({ "plum", "plum too" }, found_set(reader, "plum"))
      end)
    end
  end)
end
