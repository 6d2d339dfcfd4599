-- The only two ways in which a stored message changes.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local null, array = convstore.null, convstore.array

-- Target, patch and result of RFC 7396, appendix A, as far as they are objects or arrays, and some of our own.
local MERGES = {
  { { a = "b" }, { a = "c" }, { a = "c" } },
  { { a = "b" }, { b = "c" }, { a = "b", b = "c" } },
  { { a = "b" }, { a = null }, {} },
  { { a = "b", b = "c" }, { a = null }, { b = "c" } },
  { { a = { "b" } }, { a = "c" }, { a = "c" } },
  { { a = "c" }, { a = { "b" } }, { a = { "b" } } },
  { { a = { b = "c" } }, { a = { b = "d", c = null } }, { a = { b = "d" } } },
  { { a = { { b = "c" } } }, { a = { 1 } }, { a = { 1 } } },
  { { "a", "b" }, { "c", "d" }, { "c", "d" } },
  { { a = "b" }, { "c" }, { "c" } },
  { { e = null }, { a = 1 }, { e = null, a = 1 } },
  { { 1, 2 }, { a = "b", c = null }, { a = "b" } },
  { {}, { a = { bb = { ccc = null } } }, { a = { bb = {} } } },
  { nil, { a = 1, b = null }, { a = 1 } },
  { nil, {}, {} },
  { { a = 1 }, {}, { a = 1 } },
  { { a = 1 }, array {}, array {} },
  { { a = array {} }, { b = array {} }, { a = array {}, b = array {} } },
  { { ["a\"b\\c\n\u{e9}/"] = 1, x = 2 }, { ["a\"b\\c\n\u{e9}/"] = 3 }, { ["a\"b\\c\n\u{e9}/"] = 3, x = 2 } },
  { { ["a.b"] = 1, ["$"] = 2, [""] = 3 }, { ["a.b"] = 4, [""] = null }, { ["a.b"] = 4, ["$"] = 2 } },
  { { big = math.maxinteger, small = math.mininteger, f = 0.1, huge = 1e300, one = 1.0 },
  { x = 9007199254740993 },
    { big = math.maxinteger, small = math.mininteger, f = 0.1, huge = 1e300, one = 1.0,
    x = 9007199254740993 } },
}

for _, backend in ipairs(backends) do
  describe("annotate " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    it("merges by RFC 7396", function()
      local chat = fresh()
      for i, merge in ipairs(MERGES) do
        local message = assert(chat:append("user", "x", { metadata = merge[1] }))
        check.same_json(merge[3], assert(chat:annotate(message.seq, merge[2])).metadata, "case " .. i)
        check.same_json(merge[3], assert(chat:message(i)).metadata, "case " .. i)
      end
    end)

    it("merges a conversation's metadata by the same rule", function()
      local _, alice = fresh()
      for i, merge in ipairs(MERGES) do
        local chat = assert(alice:create({ metadata = merge[1] }))
        assert(chat:update({ metadata = merge[2], merge = true }))
        check.same_json(merge[3], chat.metadata, "case " .. i)
        check.same_json(merge[3], assert(alice:get(chat.id)).metadata, "case " .. i)
      end
    end)

    it("changes nothing but metadata and updated_at", function()
      local chat = fresh()
      local before = assert(chat:append({
        role = "assistant", content = { { type = "text", text = "hi" } }, name = "Eliza",
        metadata = { a = 1 },
        tool_calls = { { id = "c" } }, attachments = { { name = "a" } }, token_count = 7, created_at = 1000,
      }))
      assert(chat:append("user", "next"))
      local next_message = assert(chat:message(2))
      local after = assert(chat:annotate(1, { b = 2 }))
      check.just_now(after.updated_at)
      before.metadata, before.updated_at = { a = 1, b = 2 }, after.updated_at
      check.same_json(before, after)
      check.same_json(after, assert(chat:message(1)))
      check.same_json(next_message, assert(chat:message(2)))
      assert.equal(2, assert(chat:refresh()).last_seq)
    end)

    it("renews the conversation's updated_at", function()
      local chat, alice = fresh()
      assert(chat:append("user", "x"))
      local message = assert(chat:annotate(1, { a = 1 }))
      assert.equal(message.updated_at, assert(alice:get(chat.id)).updated_at)
    end)

    it("gives not_found where there is no such message", function()
      local chat = fresh()
      check.fails("not_found", "1", chat:annotate(1, { a = 1 }))
      check.fails("not_found", nil, chat:annotate(math.maxinteger, { a = 1 }))
      check.fails("invalid", "seq", chat:annotate(0, { a = 1 }))
      check.fails("invalid", "seq", chat:annotate(-1, { a = 1 }))
    end)

    it("gives too_large for what the merge would make, and changes nothing", function()
      local chat = fresh({ max_content_bytes = 40 })
      assert(chat:append("user", "x", { metadata = { a = ("x"):rep(20) } }))
      check.fails("too_large", "metadata", chat:annotate(1, { b = ("x"):rep(20) }))
      check.fails("too_large", "metadata", chat:annotate(1, { b = ("x"):rep(50) }))
      check.same_json({ a = ("x"):rep(20) }, assert(chat:message(1)).metadata)
      assert.is_nil(assert(chat:message(1)).updated_at)
      check.same_json({ a = ("y"):rep(30) }, assert(chat:annotate(1, { a = ("y"):rep(30) })).metadata)
    end)

    it("raises for wrong types and refuses what can't be JSON", function()
      local chat = fresh()
      assert(chat:append("user", "x"))
      check.argument("#1", chat, "annotate")
      check.argument("#1", chat, "annotate", {}, {})
      check.argument("#1", chat, "annotate", "1", {})
      check.argument("#1", chat, "annotate", 1.5, {})
      for _, wrong in ipairs({ 5, "x", true, print }) do
        check.argument("#2", chat, "annotate", 1, wrong)
      end
      check.argument("#2", chat, "annotate", 1)
      check.fails("invalid", "metadata", chat:annotate(1, { a = print }))
      check.fails("invalid", "metadata", chat:annotate(1, { a = 0 / 0 }))
      check.fails("invalid", "metadata", chat:annotate(1, { a = "\255" }))
      assert.is_nil(assert(chat:message(1)).metadata)
    end)
  end)

  describe("redact " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, database
    end

    it("removes what was said and keeps that it was", function()
      local chat, alice = fresh()
      local before = assert(chat:append({
        role = "assistant", content = "swordfish", name = "Eliza", metadata = { a = 1 },
        tool_calls = { { id = "c" } }, attachments = { { name = "a" } }, token_count = 7, created_at = 1000,
      }))
      assert(chat:append("user", "next"))
      local after = assert(chat:redact(1))
      check.just_now(after.redacted_at)
      check.same_json({
        id = before.id, seq = 1, conversation_id = chat.id, role = "assistant", token_count = 7,
        created_at = 1000,
        redacted_at = after.redacted_at, updated_at = after.updated_at,
      }, after)
      check.same_json(after, assert(chat:message(1)))
      check.same_json(after, assert(chat:message(before.id)))
      check.same_json(after, assert(chat:history())[1])
      assert.equal("next", assert(chat:message(2)).content)
      local conversation = assert(alice:get(chat.id))
      assert.equal(2, conversation.last_seq)
      assert.equal(8, conversation.token_count)
      assert.equal(after.redacted_at, conversation.updated_at)
    end)

    it("removes parts, and keeps the tool_call_id of a result", function()
      local chat = fresh()
      assert(chat:append("tool", { { type = "text", text = "42" } }, { tool_call_id = "c" }))
      local after = assert(chat:redact(1))
      assert.is_nil(after.content)
      assert.equal("c", after.tool_call_id)
      assert.equal("tool", after.role)
    end)

    it("may be done twice and keeps the first time", function()
      local chat = fresh()
      assert(chat:append("user", "x"))
      local first = assert(chat:redact(1))
      check.same_json(first, assert(chat:redact(1)))
    end)

    it("does not open the seq to another message", function()
      local chat = fresh()
      assert(chat:append("user", "x"))
      assert(chat:redact(1))
      assert.equal(2, assert(chat:append("user", "y")).seq)
    end)

    it("refuses what is no message", function()
      local chat = fresh()
      check.fails("not_found", "1", chat:redact(1))
      check.fails("invalid", "seq", chat:redact(0))
      check.fails("invalid", "seq", chat:redact(-5))
      check.argument("#1", chat, "redact")
      check.argument("#1", chat, "redact", "1")
      check.argument("#1", chat, "redact", {})
      check.argument("#1", chat, "redact", 1.5)
    end)
  end)
end
