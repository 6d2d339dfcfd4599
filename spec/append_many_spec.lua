-- append_many: several messages as one, all of them or none.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  describe("append_many " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    local function batch(n, first)
      local messages = {}
      for i = 1, n do
        messages[i] = { role = "user", content = tostring((first or 0) + i), id = convstore.uuid() }
      end
      return messages
    end

    it("gives them consecutive seqs in the order given", function()
      local chat = fresh()
      assert(chat:append("user", "0"))
      local stored = assert(chat:append_many(batch(100)))
      assert.equal(100, #stored)
      for i, message in ipairs(stored) do
        assert.equal(i + 1, message.seq)
        assert.equal(tostring(i), message.content)
      end
      assert.equal(101, chat.last_seq)
      check.same_json(stored[50], assert(chat:message(51)))
    end)

    it("has nothing to do with an empty list", function()
      local chat = fresh()
      assert.same({}, assert(chat:append_many({})))
      assert.equal(0, chat.last_seq)
    end)

    it("writes all or none", function()
      local chat, alice = fresh({ max_content_bytes = 100 })
      local function with(message)
        local messages = batch(5)
        messages[4] = message
        return messages
      end
      check.fails("too_large", "content", chat:append_many(with({ role = "user",
        content = ("x"):rep(101) })))
      check.fails("invalid", "role", chat:append_many(with({ role = "robot", content = "x" })))
      check.fails("invalid", "message 4", chat:append_many(with({ role = "robot", content = "x" })))
      check.fails("invalid", "content", chat:append_many(with({ role = "user", content = "\255" })))
      check.fails("invalid", "tool_call_id", chat:append_many(with({ role = "tool", content = "x" })))
      check.fails("invalid", "expect", chat:append_many(with({ role = "user", content = "x", expect = 3 })))
      check.argument("nonsense", chat, "append_many", with({ role = "user", content = "x", nonsense = 1 }))
      assert.same({}, assert(chat:history()))
      assert.equal(0, assert(alice:get(chat.id)).last_seq)
      assert.equal(0, assert(alice:get(chat.id)).token_count)
    end)

    it("raises for what is no list of messages", function()
      local chat = fresh()
      check.argument("#1", chat, "append_many")
      check.argument("#1", chat, "append_many", "x")
      check.argument("", chat, "append_many", { "x" })
      check.argument("", chat, "append_many", { { role = "user", content = "x" }, 5 })
      check.argument("", chat, "append_many", { role = "user", content = "x" })
      check.argument("", chat, "append_many", { { role = "user", content = "x" }, [3] = { role = "user",
        content = "x" } })
      check.argument("", chat, "append_many", { { role = "user", content = "x" }, n = 1 })
      assert.same({}, assert(chat:history()))
    end)

    it("gives the stored ones where all are stored, in this order", function()
      local chat = fresh()
      local messages = batch(3)
      local stored = assert(chat:append_many(messages))
      assert(chat:append("user", "next"))
      check.same_json(stored, assert(chat:append_many(messages)))
      check.same_json({ stored[2] }, assert(chat:append_many({ messages[2] })))
      assert.equal(4, #assert(chat:history()))
    end)

    it("gives conflict and writes nothing where only some are stored, or in another order, or otherwise",
      function()
      local chat = fresh()
      local messages = batch(3)
      assert(chat:append_many(messages))
      local new = batch(1, 3)[1]
      check.fails("conflict", nil, chat:append_many({ messages[1], messages[2], messages[3], new }))
      check.fails("conflict", nil, chat:append_many({ new, messages[1] }))
      check.fails("conflict", nil, chat:append_many({ messages[2], messages[1], messages[3] }))
      check.fails("conflict", nil, chat:append_many({ messages[1], messages[2],
        { role = "user", content = "changed", id = messages[3].id } }))
      assert.equal(3, #assert(chat:history()))
      assert.equal(4, assert(chat:append_many({ new }))[1].seq)
    end)

    it("never stores the same id twice", function()
      local chat = fresh()
      local one = batch(1)[1]
      assert.is_nil((chat:append_many({ one, one })))
      assert.is_nil((chat:append_many({ one, { role = "user", content = "other", id = one.id } })))
      assert.same({}, assert(chat:history()))
    end)

    it("may be a thousand", function()
      local chat = fresh()
      local stored = assert(chat:append_many(batch(1000)))
      assert.equal(1000, stored[1000].seq)
      assert.equal(1000, assert(chat:message(1000)).seq)
    end)
  end)
end
