-- user:erase: nothing of the user's is left anywhere, and nobody else misses anything.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local searches = require "spec.support.searches"
local shell = require "spec.support.shell"

local FUTURE = os.time() * 1000 + 3600000
local SECRET = "zqxsecret" -- stands in everything that the user has

for _, backend in ipairs(backends) do
  describe("erase " .. backend.tags, function()
    after_each(backends.clean)

    local function secret(what)
      return SECRET .. what
    end

    -- A user with one of everything: live, archived, deleted, forked, summed up, redacted, indexed.
    local function fill(store, user)
      local chats = {}
      for i = 1, 4 do
        chats[i] = assert(user:conversation(secret("key" .. i), {
          title = secret("title"), metadata = { [secret("member")] = secret("value") } }))
        assert(chats[i]:append_many({
          { role = "system", content = secret("system"), name = secret("name") },
          { role = "user", content = { { type = "text", text = secret("part") } },
            attachments = { { url = secret("url") } }, metadata = { a = secret("meta") } },
          { role = "assistant", tool_calls = { { id = secret("call"), arguments = secret("arguments") } } },
          { role = "tool", tool_call_id = secret("call"), content = secret("result") },
        }))
        assert(chats[i]:append("user", ("%s %s "):format(secret("long"), secret("word")):rep(3000)))
        assert(chats[i]:summarize(secret("summary"), { through = 3, metadata = { a = secret("more") } }))
        if i == 2 then assert(store:archive({ idle_before = FUTURE })) end
      end
      local batch = {}
      for i = 1, searches.ENOUGH do
        batch[i] = { role = "user", content = secret("indexed") .. " " .. secret("number") .. i }
      end
      assert(chats[3]:append_many(batch))
      assert(chats[1]:redact(5))
      assert(user:search(secret("indexed")))
      assert(chats[4]:fork({ title = secret("fork") }))
      assert(chats[4]:delete())
      return { conversations = 5, messages = 25 + searches.ENOUGH }
    end

    if backend.shared then
      it("tells of a failure what it had deleted before", function()
        local store, database = backend.fresh()
        local alice = store:user("alice")
        for i = 1, 150 do
          assert(alice:create({
            id = ("ffffffff-0000-7000-8000-%012d"):format(i), title = i == 150 and "stop" or "x",
          }))
        end
        if database.path then
          database:sql([[CREATE TRIGGER refuse BEFORE DELETE ON convstore_conversations
            WHEN old.title = 'stop' BEGIN SELECT raise(ABORT, 'no'); END;]])
        else
          database:sql([[
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN IF old.title = 'stop' THEN RAISE EXCEPTION 'no'; END IF; RETURN old; END $$;
            CREATE TRIGGER refuse BEFORE DELETE ON convstore.conversations
              FOR EACH ROW EXECUTE FUNCTION public.refuse()]])
        end
        local left = database:count("conversations")
        local erased, message, code, before = alice:erase()
        assert.is_nil(erased)
        assert.truthy(message:find("^" .. code .. ": "), message)
        local still = database:count("conversations")
        assert.is_true(still > 0 and still < left)
        assert.same({ conversations = left - still, messages = 0 }, before)
        -- Where nothing was done it says so.
        assert.same({ conversations = 0, messages = 0 }, select(4, store:purge({ idle_before = FUTURE })))
      end)
    end

    it("deletes everything of a user's, and counts it", function()
      local store = backend.fresh()
      local alice, bob = store:user("alice"), store:user("bob")
      local chat = assert(bob:conversation("k"))
      assert(chat:append("user", "bob's"))
      local expected = fill(store, alice)
      assert.same(expected, assert(alice:erase()))
      assert.same({}, assert(alice:list({ deleted = "any" })))
      assert.same({}, assert(alice:messages()))
      assert.same({}, assert(alice:search(secret("indexed"))))
      assert.same({ conversations = 0, messages = 0, tokens = 0, by_role = {} }, assert(alice:usage()))
      assert.same({ conversations = 0, messages = 0 }, assert(alice:erase()))
      assert.equal("bob's", assert(chat:history())[1].content)
      -- The user may begin anew.
      assert.equal(1, assert(assert(alice:conversation(secret("key1"))):append("user", "x")).seq)
    end)

    it("leaves other users all that they have, in the search index too", function()
      local store, database = backend.fresh()
      local alice, bob = store:user("alice"), store:user("bob")
      local expected = fill(store, bob)
      fill(store, alice)
      local before = { assert(bob:list({ deleted = "any" })), assert(bob:messages({ limit = 1000 })),
        searches.places(bob, secret("indexed")) }
      assert(alice:erase())
      check.same_json(before, { assert(bob:list({ deleted = "any" })), assert(bob:messages({ limit = 1000 })),
        searches.places(bob, secret("indexed")) })
      if backend.shared then
        assert.equal(expected.conversations, database:count("conversations"))
        database:assert_sound()
      end
      assert.same(expected, assert(bob:erase()))
    end)

    it("takes a user with more than fits into a part", function()
      local store = backend.fresh()
      local alice = store:user("alice")
      local batch = {}
      for i = 1, 2500 do batch[i] = { role = "user", content = "x" } end
      for i = 1, 3 do assert(assert(alice:conversation("k" .. i)):append_many(batch)) end
      assert(store:transaction(function()
        for _ = 1, 210 do assert(alice:create()) end
        return true
      end))
      assert.same({ conversations = 213, messages = 7500 }, assert(alice:erase()))
      assert.same({}, assert(alice:list({ deleted = "any" })))
    end)

    it("is one with the transaction around it", function()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      local expected = fill(store, alice)
      local chat = assert(alice:conversation(secret("key3")))
      local batch = {}
      for i = 1, 3000 do batch[i] = { role = "user", content = "x" } end
      assert(chat:append_many(batch))
      expected.messages = expected.messages + 3000
      store:transaction(function()
        assert.same(expected, assert(alice:erase()))
        assert.same({}, assert(alice:list()))
        return nil, "no"
      end)
      assert.equal(3000 + searches.ENOUGH + 5, #assert(chat:history()))
      if backend.shared then database:assert_sound() end
      assert(store:transaction(function()
        assert.same(expected, assert(alice:erase()))
        assert(assert(alice:conversation("new")):append("user", "x"))
        return true
      end))
      assert.equal(1, #assert(alice:list({ deleted = "any" })))
    end)

    if not backend.shared then return end

    it("leaves handles that find nothing", function()
      local store = backend.fresh()
      local alice = store:user("alice")
      local chat = assert(alice:conversation("k"))
      assert(alice:erase())
      check.fails("not_found", chat.id, chat:append("user", "x"))
      check.fails("not_found", chat.id, chat:history())
      check.fails("not_found", chat.id, chat:restore())
    end)

    it("is refused by a readonly store, as purge and archive are", function()
      local store, database = backend.fresh()
      assert(store:user("alice"):conversation("k"))
      local reader = database:open({ readonly = true })
      check.fails("readonly", nil, reader:user("alice"):erase())
      check.fails("readonly", nil, reader:purge({ idle_before = FUTURE }))
      check.fails("readonly", nil, reader:archive({ idle_before = FUTURE }))
      assert.equal(1, database:count("conversations"))
    end)

    it("leaves no row of the user's in any table", function()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      fill(store, alice)
      local tables = { "conversations", "messages", "messages_archive", "summaries", "search_segments",
        "search_runs", "search_postings" }
      for _, name in ipairs(tables) do assert.is_true(database:count(name) > 0, name) end
      assert(alice:erase())
      for _, name in ipairs(tables) do assert.equal(0, database:count(name), name) end
      assert.is_nil(database:dump():find(SECRET, 1, true))
    end)

    if backend.one_writer then
      local function traces(database)
        local found = {}
        for _, ending in ipairs({ "", "-wal", "-shm" }) do
          local bytes = shell.read(database.path .. ending) or ""
          if bytes:find(SECRET, 1, true) or bytes:find("zqxuser", 1, true) then found[#found + 1] = ending end
        end
        return found
      end

      it("leaves no byte of the user's in the files", function()
        local store, database = backend.fresh()
        local user = store:user("zqxuser")
        fill(store, user)
        assert.is_true(#traces(database) > 0)
        local chat = assert(store:user("bob"):conversation("k"))
        assert(chat:append("user", "bob's"))
        assert(user:erase())
        assert.same({}, traces(database))
        assert(chat:append("user", "more"))
        assert.same({}, traces(database))
      end)

      it("leaves none of them after the commit of the transaction that it was part of", function()
        local store, database = backend.fresh()
        local user = store:user("zqxuser")
        local expected = fill(store, user)
        assert(store:transaction(function()
          return store:transaction(function() return user:erase() end)
        end))
        assert.same({}, traces(database))
        assert(fill(store, user))
        assert.is_nil((store:transaction(function()
          assert.same(expected, assert(user:erase()))
          return nil, "never mind"
        end)))
        assert.is_true(assert(user:usage()).messages > 0)
        assert.is_true(#traces(database) > 0)
      end)

      it("does so after the next checkpoint, where somebody reads meanwhile", function()
        local store, database = backend.fresh()
        local user = store:user("zqxuser")
        local expected = fill(store, user)
        local reader = database:open({ readonly = true })
        reader:transaction(function()
          assert.equal(expected.messages, assert(reader:user("zqxuser"):usage()).messages
            + 5) -- of the conversation that is deleted
          assert.same(expected, assert(user:erase()))
          return true
        end)
        database:sql("PRAGMA wal_checkpoint(TRUNCATE);")
        assert.same({}, traces(database))
      end)
    end
  end)
end
