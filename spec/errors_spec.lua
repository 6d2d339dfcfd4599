-- How failures look: nil, a sentence, a code, and what is needed to try again.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  describe("a failure " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    it("is three values: nil, a sentence that starts with the code, and the code", function()
      local chat = fresh()
      local results = table.pack(chat:message(7))
      assert.equal(3, results.n)
      check.fails("not_found", "7", table.unpack(results))
    end)

    it("reads well through assert", function()
      local chat = fresh()
      check.raises("not_found: .*7$", function() return check.assert(chat:message(7)) end)
    end)

    it("names the field or option that broke a rule", function()
      local chat, alice = fresh()
      check.fails("invalid", "limit", chat:history({ limit = 0 }))
      check.fails("invalid", "order", chat:history({ order = "up" }))
      check.fails("invalid", "role", chat:append("robot", "hello"))
      check.fails("invalid", "robot", chat:append("robot", "hello"))
      check.fails("invalid", "title", alice:create({ title = ("x"):rep(2049) }))
      check.fails("invalid", "key", alice:conversation(("x"):rep(256)))
      check.fails("invalid", "status", chat:update({ status = "done" }))
      check.fails("invalid", "tool_call_id", chat:append("tool", "42"))
    end)

    it("runs nothing of what it names: no __tostring, no __name that is no string", function()
      local chat = fresh()
      local key = setmetatable({}, { __tostring = function() error("run") end, __name = 7 })
      check.raises('unknown field "table"', function() chat:update({ [key] = 1 }) end)
      check.raises("update{ table = ", function() chat[key] = 1 end)
      local counting = backend.fresh({ count_tokens = function() return key end })
      local other = assert(counting:user("alice"):create())
      check.raises("it returned table", function() other:append("user", "x") end)
    end)

    it("of append gives the id to try again with as a fourth value", function()
      local chat = fresh()
      local given = convstore.uuid()
      assert.equal(given, (check.fails("conflict", nil, chat:append("user", "x", { id = given,
        expect = 5 }))))
      local made = check.fails("conflict", nil, chat:append("user", "x", { expect = 5 }))
      check.uuid7(made)
      local message = assert(chat:append("user", "x", { id = made }))
      assert.equal(made, message.id)
      assert.equal(1, message.seq)
    end)

    it("of append_many gives all ids as a fourth value", function()
      local chat = fresh()
      local given = convstore.uuid()
      local ids = check.fails("conflict", nil, chat:append_many({
        { role = "user", content = "1", expect = 5 }, { role = "user", content = "2", id = given },
        { role = "user", content = "3" } }))
      assert.equal(3, #ids)
      assert.equal(given, ids[2])
      check.uuid7(ids[1])
      check.uuid7(ids[3])
      assert.not_equal(ids[1], ids[3])
    end)

    it("of create and conversation gives the id as a fourth value", function()
      local chat, alice = fresh()
      local given = convstore.uuid()
      assert.equal(given, (check.fails("conflict", "a", alice:create({ key = "a", id = given }))))
      check.uuid7((check.fails("conflict", "a", alice:create({ key = "a" }))))
      assert.equal(chat.id, (check.fails("conflict", nil, alice:conversation("b", { id = chat.id }))))
    end)

    it("never shows content in its message", function()
      local chat = fresh()
      local secret = "swordfish"
      local _, message = check.fails("conflict", nil, chat:append("user", secret, { expect = 5 }))
      assert.is_nil(message:find(secret, 1, true))
      _, message = check.fails("invalid", nil, chat:append("user", secret .. "\255"))
      assert.is_nil(message:find(secret, 1, true))
    end)

    it("leaves the store in working order", function()
      local chat, alice = fresh()
      for _ = 1, 50 do
        check.fails("conflict", nil, chat:append("user", "x", { expect = 5 }))
        check.fails("not_found", nil, alice:get(convstore.uuid()))
      end
      assert.equal(1, assert(chat:append("user", "x")).seq)
    end)

    if backend.shared then
      it("by a lock can be tried again with the ids it gave, and stores once", function()
        local chat, alice, _, database = fresh()
        local other = database:open({ timeout = 0.3 })
        local waiting = assert(other:user("alice"):conversation("a"))
        local id, ids, new, keyed
        local holder = database:hold()
        id = check.fails("busy", nil, waiting:append("user", "one"))
        ids = check.fails("busy", nil, waiting:append_many({ { role = "user", content = "two" },
          { role = "user", content = "three" } }))
        new = check.fails("busy", nil, other:user("alice"):create({ title = "new" }))
        keyed = check.fails("busy", nil, other:user("alice"):conversation("keyed"))
        holder:release()
        for _ = 1, 2 do
          assert.equal(1, assert(waiting:append("user", "one", { id = id })).seq)
          local stored = assert(waiting:append_many({ { role = "user", content = "two", id = ids[1] },
            { role = "user", content = "three", id = ids[2] } }))
          assert.equal(2, stored[1].seq)
          assert.equal(3, stored[2].seq)
          assert.equal(new, assert(other:user("alice"):create({ title = "new", id = new })).id)
          assert.equal(keyed, assert(other:user("alice"):conversation("keyed", { id = keyed })).id)
        end
        assert.equal(3, #assert(chat:history()))
        assert.equal("new", assert(alice:get(new)).title)
      end)
    end
  end)
end
