-- One user's conversations are nobody else's: every way to another's id ends as the way to no id at all.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local MISSING = "00000000-0000-7000-8000-000000000000"

for _, backend in ipairs(backends) do
  describe("isolation " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return store:user("alice"), store:user("bob"), database
    end

    -- The failure that `call` gives for an id, with the id taken out of its words.
    local function words(id, call)
      local _, message = check.fails("not_found", nil, call(id))
      return (message:gsub(id:gsub("%-", "%%-"), "<id>"))
    end

    it("gives another user's conversation the words of a missing one", function()
      local alice, bob = fresh()
      local hers = assert(alice:conversation("k", { title = "secret" }))
      assert(hers:append("user", "secret"))
      local deleted = assert(alice:create())
      assert(deleted:delete())
      for _, id in ipairs({ hers.id, deleted.id }) do
        for _, options in ipairs({ {}, { deleted = true }, { deleted = false } }) do
          local function get(which) return bob:get(which, options) end
          assert.equal(words(MISSING, get), words(id, get))
        end
      end
    end)

    it("gives another user's message the words of a missing one", function()
      local alice, bob = fresh()
      local secret = assert(assert(alice:create()):append("user", "secret"))
      local his = assert(bob:create())
      local function message(id) return his:message(id) end
      assert.equal(words(MISSING, message), words(secret.id, message))
      check.fails("not_found", "1", his:message(secret.seq))
    end)

    it("holds in every method, where another user has a conversation of the very same id", function()
      local alice, bob = fresh()
      local id, message_id = convstore.uuid(), convstore.uuid()
      local his = assert(bob:create({ id = id }))
      assert(his:append("user", "his"))
      assert(his:purge())
      local methods = {
        function() return his:append("user", "x") end,
        function() return his:append("user", "hers", { id = message_id }) end,
        function() return his:append("user", "x", { expect = 1 }) end,
        function() return his:append_many({ { role = "user", content = "x" } }) end,
        function() return his:append_many({}) end,
        function() return his:message(1) end,
        function() return his:message(message_id) end,
        function() return his:history() end,
        function() return his:history({ after = 0, limit = 1 }) end,
        function() return his:update({ title = "x" }) end,
        function() return his:update({ metadata = { a = 1 }, merge = true }) end,
        function() return his:annotate(1, { a = 1 }) end,
        function() return his:redact(1) end,
        function() return his:refresh() end,
        function() return his:fork() end,
        function() return his:fork({ at = 0 }) end,
        function() return his:summarize("x") end,
        function() return his:summarize("x", { through = 100 }) end,
        function() return his:delete() end,
        function() return his:restore() end,
        function() return his:purge() end,
        function() return bob:get(id) end,
        function() return bob:get(id, { deleted = true }) end,
        function()
          local ok, message = pcall(function() return his:each()() end)
          return not ok and nil, message, not ok and message:match("^[%a_]+")
        end,
      }
      local before = {}
      for i, method in ipairs(methods) do
        local _, message = check.fails("not_found", nil, method())
        before[i] = message
      end
      local hers = assert(alice:create({ id = id, title = "hers", key = "k" }))
      assert(hers:append("user", "hers", { id = message_id }))
      for round = 1, 2 do
        for i, method in ipairs(methods) do
          local _, message = check.fails("not_found", nil, method())
          assert.equal(before[i], message)
        end
        if round == 1 then
          assert.equal(1, #assert(hers:history()))
          assert.equal("hers", assert(hers:refresh()).title)
          assert.is_nil(assert(hers:message(1)).metadata)
          assert(hers:delete())
        end
      end
      assert(hers:restore())
      assert.equal("hers", assert(hers:message(1)).content)
    end)

    it("lets two users have the same ids and keys and keeps them apart", function()
      local alice, bob = fresh()
      local id, message_id = convstore.uuid(), convstore.uuid()
      local chats = {}
      for _, user in ipairs({ alice, bob }) do
        local chat = assert(user:conversation("k", { id = id, title = user.id }))
        assert.equal(id, chat.id)
        assert(chat:append("user", "I am " .. user.id, { id = message_id }))
        chats[user.id] = chat
      end
      assert(chats.alice:append("user", "second"))
      assert(chats.alice:annotate(1, { a = 1 }))
      assert(chats.alice:update({ title = "changed", status = "closed" }))
      local his = assert(bob:get(id))
      assert.equal("bob", his.title)
      assert.equal("active", his.status)
      assert.equal(1, his.last_seq)
      assert.is_nil(assert(his:message(message_id)).metadata)
      assert(chats.alice:redact(1))
      assert.equal("I am bob", assert(his:message(1)).content)
      assert(chats.alice:purge())
      assert.equal("I am bob", assert(his:message(message_id)).content)
      assert.equal(1, #assert(his:history()))
      assert.equal(id, assert(bob:conversation("k")).id)
    end)

    it("reveals nothing by ids that are taken elsewhere", function()
      local alice, bob = fresh()
      local hers = assert(alice:conversation("k"))
      local message = assert(hers:append("user", "secret"))
      local deleted = assert(alice:create())
      assert(deleted:delete())
      assert.equal(hers.id, assert(bob:create({ id = hers.id })).id)
      assert.equal(deleted.id, assert(bob:conversation("k", { id = deleted.id })).id)
      local his = assert(bob:get(hers.id))
      assert.equal(0, his.last_seq)
      assert.is_nil(his.key)
      assert.equal(1, assert(his:append("assistant", "mine", { id = message.id })).seq)
      assert.equal("secret", assert(hers:message(message.id)).content)
    end)

    it("takes user ids literally", function()
      local store = backend.fresh()
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "secret"))
      for _, id in ipairs({ "%", "_lice", "alice ", " alice", "ALICE", "alice' OR '1'='1", "alic%", "al?ce",
        "alice\u{301}", "*" }) do
        local other = store:user(id)
        check.fails("not_found", nil, other:get(chat.id))
        local made = assert(other:conversation("k"))
        assert.equal(id, made.user_id)
        assert.equal(0, made.last_seq)
      end
    end)
  end)
end
