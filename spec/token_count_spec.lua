-- Token counts: the library's estimate, the caller's number, or the bot's own function.
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  describe("tokens are counted " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    it("as a quarter of the content's bytes, rounded up", function()
      local chat, alice = fresh()
      local sum = 0
      for _, case in ipairs({ { "", 0 }, { "a", 1 }, { "abcd", 1 }, { "abcde", 2 }, { "é", 1 },
        { "日本語", 3 }, { ("x"):rep(1000), 250 } }) do
        assert.equal(case[2], assert(chat:append("user", case[1])).token_count)
        sum = sum + case[2]
      end
      assert.equal(sum, chat.token_count)
      assert.equal(sum, assert(alice:get(chat.id)).token_count)
    end)

    it("of parts by their compact JSON, and of nothing as none", function()
      local chat = fresh()
      -- [{"text":"hello","type":"text"}] has 32 bytes.
      assert.equal(8, assert(chat:append("user", { { type = "text", text = "hello" } })).token_count)
      assert.equal(0, assert(chat:append({ role = "assistant",
        tool_calls = { { id = "c" } } })).token_count)
    end)

    it("as the caller says", function()
      local chat = fresh()
      for _, count in ipairs({ 0, 1, 2147483647, 5.0 }) do
        assert.equal(count, assert(chat:append("user", "hello", { token_count = count })).token_count)
      end
      for _, wrong in ipairs({ -1, 2147483648, math.maxinteger }) do
        check.fails("invalid", "token_count", chat:append("user", "x", { token_count = wrong }))
      end
      check.argument("token_count", chat, "append", "user", "x", { token_count = "5" })
      check.argument("token_count", chat, "append", "user", "x", { token_count = 1.5 })
      assert.equal(2147483653, chat.token_count)
    end)

    it("by the store's count_tokens where the caller says nothing", function()
      local seen = {}
      local chat = fresh({ count_tokens = function(...)
        seen[#seen + 1] = table.pack(...)
        return #seen + 0.0
      end })
      assert.equal(1, assert(chat:append("user", "hello", { name = "Ann" })).token_count)
      assert.equal("integer", math.type(assert(chat:message(1)).token_count))
      assert.equal(9, assert(chat:append("user", "hello", { token_count = 9 })).token_count)
      local stored = assert(chat:append_many({ { role = "user", content = "a" },
        { role = "user", content = "b", token_count = 7 }, { role = "assistant", content = "c" } }))
      assert.equal(2, stored[1].token_count)
      assert.equal(7, stored[2].token_count)
      assert.equal(3, stored[3].token_count)
      assert.equal(3, #seen)
      assert.equal(1, seen[1].n)
      assert.equal("user", seen[1][1].role)
      assert.equal("hello", seen[1][1].content)
      assert.equal("Ann", seen[1][1].name)
      assert.equal("c", seen[3][1].content)
    end)

    it("by a function that may use the store", function()
      local chat
      chat = fresh({ count_tokens = function(message)
        return #assert(chat:history()) + #message.content
      end })
      assert.equal(5, assert(chat:append("user", "hello")).token_count)
      assert.equal(6, assert(chat:append("user", "hello")).token_count)
    end)

    it("by a function that may close the store, yield or fail, and nothing is left behind", function()
      local store
      local chat, _, made, database = fresh({ count_tokens = function(message)
        if message.content == "close" then
          store:close()
        elseif message.content == "yield" then
          coroutine.yield()
        elseif message.content == "fail" then
          error("boom", 0)
        end
        return 1
      end })
      store = made
      check.raises("^boom$", chat.append, chat, "user", "fail")
      check.raises("yield", coroutine.wrap(function() chat:append("user", "yield") end))
      assert.same({}, assert(chat:history()))
      check.raises("closed", chat.append, chat, "user", "close")
      check.raises("closed", chat.append_many, chat, { { role = "user", content = "close" } })
      if backend.shared then
        assert.same({}, assert(assert(database:open():user("alice"):conversation("a")):history()))
      end
    end)

    it("not at all where the function gives no count, and writes nothing", function()
      local answer
      local chat = fresh({ count_tokens = function() return answer end })
      for _, wrong in ipairs({ -1, 2147483648, 1.5, "5", {}, true }) do
        answer = wrong
        check.refused("count_tokens", chat.append, chat, "user", "x")
      end
      answer = nil
      check.refused("count_tokens", chat.append, chat, "user", "x")
      assert.same({}, assert(chat:history()))
    end)
  end)
end
