-- User handles: what names a user, and that it names one alone.
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  describe("a user " .. backend.tags, function()
    after_each(backends.clean)

    it("has the id it was asked for, as a string", function()
      local store = backend.fresh()
      assert.equal("alice", store:user("alice").id)
      assert.equal("42", store:user("42").id)
      assert.equal("42", store:user(42).id)
      assert.equal("42", store:user(42.0).id)
      assert.equal("-1001234567890", store:user(-1001234567890).id)
      assert.equal("9223372036854775807", store:user(math.maxinteger).id)
      assert.equal("-9223372036854775808", store:user(math.mininteger).id)
      assert.equal("0", store:user(0).id)
    end)

    it("is the same by integer and by its decimal string", function()
      local store = backend.fresh()
      local chat = assert(store:user(42):conversation("a"))
      assert.equal(chat.id, assert(store:user("42"):get(chat.id)).id)
      assert.equal("42", chat.user_id)
    end)

    it("may have any text of 1 to 255 bytes as its id", function()
      local store = backend.fresh()
      local ids = { "x", ("x"):rep(255), ("é"):rep(127), "用户", "' OR '1'='1", "%", "_", " ", "a ", "A",
        "a", "a\n", "0", "-0", "00", "\u{10FFFF}", "room:1;--", '"', "\\", "NULL", "null", "e\u{301}",
        "\u{e9}" }
      for i, id in ipairs(ids) do
        local chat = assert(store:user(id):conversation("k"))
        assert.equal(id, chat.user_id)
        assert(chat:append("user", tostring(i)))
      end
      for i, id in ipairs(ids) do
        local history = assert(assert(store:user(id):conversation("k")):history())
        assert.equal(1, #history, id)
        assert.equal(tostring(i), history[1].content)
      end
    end)

    it("raises for an id that can't be one", function()
      local store = backend.fresh()
      for _, id in ipairs({ "", ("x"):rep(256), "a\0b", "\0", "a\255", "\xC3", "\xED\xA0\x80", 1.5, 2.0 ^ 53,
        -(2.0 ^ 53), 0 / 0, 1 / 0, true, false, {}, print }) do
        check.argument("#1", store, "user", id)
      end
      check.argument("#1", store, "user")
      check.argument("#1", store, "user", nil)
    end)

    it("is never made of a bad text by replacing", function()
      local store = backend.fresh({ text = "replace" })
      check.argument("#1", store, "user", "a\255")
      check.argument("#1", store, "user", "a\0")
    end)

    it("needs no database", function()
      local store = backend.fresh({ migrate = false })
      local alice = store:user("alice")
      assert.equal("alice", alice.id)
      check.fails("schema", nil, alice:create())
    end)
  end)
end
