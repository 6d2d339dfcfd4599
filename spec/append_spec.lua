-- append: what a message may be, what it becomes, and why a retry is harmless.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local function keys(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, " ")
end

for _, backend in ipairs(backends) do
  describe("append " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    describe("returns the stored message", function()
      it("with these fields and no others", function()
        local chat = fresh()
        local message = assert(chat:append("user", "hello"))
        assert.equal("content conversation_id created_at id role seq token_count", keys(message))
        check.uuid7(message.id)
        assert.equal(1, message.seq)
        assert.equal(chat.id, message.conversation_id)
        assert.equal("user", message.role)
        assert.equal("hello", message.content)
        assert.equal(2, message.token_count)
        check.just_now(message.created_at)
        assert.is_nil(getmetatable(message))
      end)

      it("as message and history read it", function()
        local chat = fresh()
        local message = assert(chat:append({
          role = "assistant", content = { { type = "text", text = "hi" } }, name = "Eliza",
          tool_calls = { { id = "c1", type = "function", ["function"] = { name = "f", arguments = "{}" } } },
          attachments = { { url = "https://example.org/a.png", size = 12 } }, metadata = { a = 1 },
        }))
        check.same_json(message, assert(chat:message(1)))
        check.same_json(message, assert(chat:message(message.id)))
        check.same_json(message, assert(chat:history())[1])
      end)

      it("for all three ways to call it", function()
        local chat = fresh()
        local a = assert(chat:append("user", "hello"))
        local b = assert(chat:append("user", "hello", { name = "Ann" }))
        local c = assert(chat:append({ role = "user", content = "hello", name = "Ann" }))
        assert.is_nil(a.name)
        assert.equal("Ann", b.name)
        assert.equal("Ann", c.name)
        assert.equal(3, c.seq)
      end)
    end)

    it("leaves its arguments as they were", function()
      local chat = fresh()
      local message = { role = "user", content = { { type = "text", text = "hi" } },
        metadata = { a = { b = 1 } } }
      assert(chat:append(message))
      assert.same({ role = "user", content = { { type = "text", text = "hi" } },
        metadata = { a = { b = 1 } } }, message)
      assert.is_nil(getmetatable(message.content))
      local fields = { name = "Ann" }
      assert(chat:append("user", "x", fields))
      assert.same({ name = "Ann" }, fields)
    end)

    it("takes every role and no other", function()
      local chat = fresh()
      for _, role in ipairs({ "user", "assistant", "system", "developer" }) do
        assert.equal(role, assert(chat:append(role, "x")).role)
      end
      assert.equal("tool", assert(chat:append("tool", "x", { tool_call_id = "c" })).role)
      for _, role in ipairs({ "", "User", "function", "robot", "user ", "user\0" }) do
        check.fails("invalid", "role", chat:append(role, "x"))
      end
      check.argument("role", chat, "append", { role = 5, content = "x" })
      assert.equal(5, #assert(chat:history()))
    end)

    describe("keeps the field", function()
      it("content, as text of any shape, the empty one too", function()
        local chat = fresh()
        for i, content in ipairs({ "", " ", "\n", "hello", ("x"):rep(70000), "{\"a\":1}", "null", "[]" }) do
          assert.equal(content, assert(chat:append("user", content)).content)
          assert.equal(content, assert(chat:message(i)).content)
        end
      end)

      it("content, as parts", function()
        local chat = fresh()
        local parts = {
          { type = "text", text = "look: \0361" },
          { type = "image_url", image_url = { url = "data:image/png;base64,AAAA", detail = "low" } },
          { type = "input_audio", input_audio = { data = "", format = "wav" }, n = 9007199254740993,
          f = 0.5 },
        }
        check.same_json(parts, assert(chat:append("user", parts)).content)
        check.same_json(parts, assert(chat:message(1)).content)
      end)

      it("content, as an array without parts", function()
        local chat = fresh()
        for i, empty in ipairs({ {}, convstore.array {} }) do
          check.same_json(convstore.array {}, assert(chat:append("user", empty)).content)
          check.same_json(convstore.array {}, assert(chat:message(i)).content)
        end
      end)

      it("name", function()
        local chat = fresh()
        for _, name in ipairs({ "Ann", "Zoë 🦊", "", ("x"):rep(2048) }) do
          assert.equal(name, assert(chat:message(assert(chat:append("user", "x", { name = name })).seq)).name)
        end
        check.fails("invalid", "name", chat:append("user", "x", { name = ("x"):rep(2049) }))
      end)

      it("tool_calls, with everything in them", function()
        local chat = fresh()
        local calls = {
          { id = "call_1", type = "function", ["function"] = { name = "search",
          arguments = "{\"q\": \"x\"}" } },
          { id = "call_2", type = "custom", custom = { input = "text", n = 1, list = convstore.array {} } },
        }
        local message = assert(chat:append({ role = "assistant", tool_calls = calls }))
        assert.is_nil(message.content)
        check.same_json(calls, message.tool_calls)
        check.same_json(calls, assert(chat:message(1)).tool_calls)
      end)

      it("tool_call_id", function()
        local chat = fresh()
        local id = ("c"):rep(65536)
        assert.equal(id, assert(chat:append("tool", "42", { tool_call_id = id })).tool_call_id)
        assert.is_true(assert(chat:message(1)).tool_call_id == id)
        check.fails("invalid", "tool_call_id", chat:append("tool", "42", { tool_call_id = id .. "c" }))
      end)

      it("attachments, also keys that it does not know", function()
        local chat = fresh()
        local attachments = {
          { url = "https://example.org/a.png", name = "a.png", mime_type = "image/png", size = 5000000000,
            sha256 = ("0"):rep(64), width = 640, caption = "Ä" },
          { url = "file:///b" },
        }
        check.same_json(attachments, assert(chat:append("user", "look",
          { attachments = attachments })).attachments)
        check.same_json(attachments, assert(chat:message(1)).attachments)
      end)

      it("metadata", function()
        local chat = fresh()
        for i, metadata in ipairs({ { a = 1 }, {}, { 1, 2, 3 }, convstore.array {},
          { a = convstore.null } }) do
          check.same_json(metadata, assert(chat:append("user", "x", { metadata = metadata })).metadata)
          check.same_json(metadata, assert(chat:message(i)).metadata)
        end
        assert.is_nil(assert(chat:append("user", "x", { metadata = convstore.null })).metadata)
        for _, wrong in ipairs({ "x", 5, true, print }) do
          check.argument("metadata", chat, "append", "user", "x", { metadata = wrong })
        end
      end)

      it("created_at, which orders nothing", function()
        local chat, alice = fresh()
        assert(chat:append("user", "1"))
        local message = assert(chat:append("user", "2", { created_at = 1000000000000 }))
        assert.equal(1000000000000, message.created_at)
        assert.equal(0, assert(chat:append("user", "3", { created_at = 0 })).created_at)
        assert.equal(253402300799999, assert(chat:append("user", "4",
          { created_at = 253402300799999 })).created_at)
        local contents = {}
        for i, each in ipairs(assert(chat:history())) do
          contents[i] = each.content
        end
        assert.equal("1 2 3 4", table.concat(contents, " "))
        check.just_now(chat.updated_at)
        check.just_now(assert(alice:get(chat.id)).updated_at)
        for _, wrong in ipairs({ -1, 253402300800000, math.mininteger, math.maxinteger }) do
          check.fails("invalid", "created_at", chat:append("user", "x", { created_at = wrong }))
        end
      end)
    end)

    it("says something: content, tool_calls or attachments", function()
      local chat = fresh()
      check.fails("invalid", "content", chat:append("user", nil))
      check.fails("invalid", "content", chat:append("user", convstore.null))
      check.fails("invalid", "content", chat:append({ role = "assistant", tool_calls = {} }))
      check.fails("invalid", "content", chat:append({ role = "user", attachments = convstore.array {} }))
      check.fails("invalid", "content", chat:append({ role = "user", metadata = { a = 1 } }))
      assert.is_nil(assert(chat:append("user", nil, { attachments = { { name = "a.png" } } })).content)
      assert.is_nil(assert(chat:append("user", convstore.null,
        { attachments = { { name = "a.png" } } })).content)
      local message = assert(chat:append("user", "x", { tool_calls = {}, attachments = {} }))
      assert.is_nil(message.tool_calls)
      assert.is_nil(message.attachments)
      assert.equal(3, #assert(chat:history()))
    end)

    it("refuses a tool message without tool_call_id", function()
      local chat = fresh()
      check.fails("invalid", "tool_call_id", chat:append("tool", "42"))
      check.fails("invalid", "tool_call_id", chat:append({ role = "tool", content = "42", metadata = {} }))
      assert.same({}, assert(chat:history()))
    end)

    it("refuses content parts that are none, naming what to use", function()
      local chat = fresh()
      check.fails("invalid", "tool_calls", chat:append("assistant", { { type = "tool_use", id = "1",
        name = "f" } }))
      check.fails("invalid", "tool_call_id", chat:append("user", {
        { type = "text", text = "x" }, { type = "tool_result", tool_use_id = "1" } }))
      for _, parts in ipairs({ { "text" }, { {} }, { { text = "x" } }, { { type = 5 } }, { 5 },
        { { { type = "text" } } }, { type = "text", text = "x" } }) do
        check.fails("invalid", "content", chat:append("user", parts))
      end
      assert.same({}, assert(chat:history()))
    end)

    it("refuses tool calls that are none", function()
      local chat = fresh()
      for _, calls in ipairs({ { "f" }, { {} }, { { type = "function" } }, { { id = 5 } }, { { id = "" } },
        { id = "c" },
        { { id = "c" }, { id = convstore.null } } }) do
        check.fails("invalid", "tool_calls", chat:append({ role = "assistant", tool_calls = calls }))
      end
      assert.same({}, assert(chat:history()))
    end)

    it("refuses attachments that are none", function()
      local chat = fresh()
      for _, attachments in ipairs({ { "a.png" }, { { url = 5 } }, { { name = {} } },
        { { mime_type = true } }, { { sha256 = 1 } }, { { size = "5" } }, { { size = 1.5 } },
        { { size = -1 } }, { url = "x" }, { { url = "x" }, 5 } }) do
        check.fails("invalid", "attachments", chat:append("user", "x", { attachments = attachments }))
      end
      assert.same({}, assert(chat:history()))
    end)

    it("raises for fields that no caller gives", function()
      local chat = fresh()
      for _, name in ipairs({ "seq", "conversation_id", "updated_at", "redacted_at", "contents", "Role",
        "user_id" }) do
        check.argument(name, chat, "append", { role = "user", content = "x", [name] = 1 })
        check.argument(name, chat, "append", "user", "x", { [name] = 1 })
        check.argument(name, chat, "append_many", { { role = "user", content = "x", [name] = 1 } })
      end
      assert.same({}, assert(chat:history()))
    end)

    describe("with an id", function()
      it("keeps it", function()
        local chat = fresh()
        local id = "054e1df3-35e0-4bb8-a585-607dbdcd24e0"
        assert.equal(id, assert(chat:append("user", "x", { id = id })).id)
        for _, wrong in ipairs({ "", "x", id:upper(), id .. "0", (id:gsub("-", "")) }) do
          check.fails("invalid", "id", chat:append("user", "x", { id = wrong }))
        end
        assert.equal(1, #assert(chat:history()))
      end)

      it("that is stored already gives the stored message and writes nothing", function()
        local chat, alice, _, database = fresh()
        local first = assert(chat:append("user", "hello", { id = convstore.uuid(), metadata = { a = 1 } }))
        assert(chat:append("user", "next"))
        local before = backend.shared and database:dump()
        check.same_json(first, assert(chat:append("user", "hello", { id = first.id })))
        check.same_json(first, assert(chat:append({
          role = "user", content = "hello", id = first.id, metadata = { b = 2 }, name = "Ann",
          token_count = 77 })))
        assert.equal(2, #assert(chat:history()))
        assert.equal(2, assert(alice:get(chat.id)).last_seq)
        if backend.shared then
          assert.equal(before, database:dump())
        end
        assert.equal(3, assert(chat:append("user", "third")).seq)
      end)

      it("that is stored with parts is the same whatever the order of their keys", function()
        local chat = fresh()
        local id = convstore.uuid()
        local first = assert(chat:append("user", { { type = "text", text = "x", a = 1, b = 2 } },
          { id = id }))
        check.same_json(first, assert(chat:append("user", { { b = 2, a = 1, text = "x", type = "text" } },
          { id = id })))
        check.fails("conflict", id, chat:append("user", { { type = "text", text = "y", a = 1, b = 2 } },
          { id = id }))
        check.fails("conflict", id, chat:append("user", "x", { id = id }))
      end)

      it("that is stored with other content or role gives conflict", function()
        local chat = fresh()
        local id = assert(chat:append("user", "hello")).id
        assert.equal(id, (check.fails("conflict", id, chat:append("user", "Hello", { id = id }))))
        check.fails("conflict", id, chat:append("assistant", "hello", { id = id }))
        check.fails("conflict", id, chat:append("user", "", { id = id }))
        check.fails("conflict", id, chat:append("user", nil, { id = id, attachments = { { name = "a" } } }))
        assert.equal(1, #assert(chat:history()))
        assert.equal("hello", assert(chat:message(id)).content)
      end)

      it("that another conversation has is free", function()
        local chat, alice, store = fresh()
        local id = assert(chat:append("user", "hello")).id
        assert.equal(id, assert(assert(alice:create()):append("assistant", "other", { id = id })).id)
        assert.equal(id, assert(assert(store:user("bob"):create()):append("user", "his", { id = id })).id)
        assert.equal("hello", assert(chat:message(id)).content)
      end)
    end)

    describe("with expect", function()
      it("writes where nothing was added since", function()
        local chat = fresh()
        assert.equal(1, assert(chat:append("user", "1", { expect = 0 })).seq)
        assert.equal(2, assert(chat:append({ role = "user", content = "2", expect = 1 })).seq)
        assert.equal(4, assert(chat:append_many({
          { role = "user", content = "3", expect = 2 }, { role = "user", content = "4" } }))[2].seq)
        assert.is_nil(assert(chat:message(1)).expect)
      end)

      it("gives conflict and writes nothing where another was added", function()
        local chat, alice = fresh()
        assert(chat:append("user", "1"))
        for _, expect in ipairs({ 0, 2, 100, math.maxinteger }) do
          check.fails("conflict", "expect", chat:append("user", "x", { expect = expect }))
          check.fails("conflict", "expect", chat:append_many({ { role = "user", content = "x",
            expect = expect } }))
        end
        check.fails("invalid", "expect", chat:append("user", "x", { expect = -1 }))
        check.argument("expect", chat, "append", "user", "x", { expect = "1" })
        check.argument("expect", chat, "append", "user", "x", { expect = 0.5 })
        assert.equal(1, #assert(chat:history()))
        assert.equal(1, assert(alice:get(chat.id)).last_seq)
      end)

      it("yields to a replay", function()
        local chat = fresh()
        local id = convstore.uuid()
        assert(chat:append("user", "1", { id = id, expect = 0 }))
        assert(chat:append("user", "2"))
        assert.equal(1, assert(chat:append("user", "1", { id = id, expect = 0 })).seq)
        assert.equal(1, assert(chat:append_many({ { role = "user", content = "1", id = id,
          expect = 77 } }))[1].seq)
        check.fails("conflict", nil, chat:append("user", "other", { id = id, expect = 2 }))
      end)
    end)

    it("counts seq without gaps whatever failed in between", function()
      local chat = fresh()
      local id
      for i = 1, 30 do
        check.fails("conflict", nil, chat:append("user", "x", { expect = 1000 }))
        check.fails("invalid", nil, chat:append("user", "\255"))
        if id then
          check.fails("conflict", nil, chat:append("user", "y", { id = id }))
          check.fails("conflict", nil, chat:append_many({ { role = "user", content = "z" },
            { role = "user", content = "y", id = id } }))
        end
        local message = assert(chat:append("user", "x"))
        assert.equal(i, message.seq)
        id = message.id
      end
    end)

    it("wakes an archived conversation, never a closed one", function()
      local chat, alice = fresh()
      assert(chat:update({ status = "archived" }))
      assert(chat:append("user", "x"))
      assert.equal("active", chat.status)
      assert.equal("active", assert(alice:get(chat.id)).status)
      assert(chat:update({ status = "closed" }))
      assert(chat:append_many({ { role = "user", content = "x" } }))
      assert.equal("closed", chat.status)
      assert.equal("closed", assert(alice:get(chat.id)).status)
    end)

    it("raises for arguments of the wrong type and writes nothing", function()
      local chat = fresh()
      for _, role in ipairs({ 5, true, print }) do
        check.argument("#1", chat, "append", role, "x")
      end
      check.argument("#1", chat, "append")
      for _, content in ipairs({ 5, true, print }) do
        check.argument("content", chat, "append", { role = "user", content = content })
        check.argument("", chat, "append", "user", content)
      end
      check.argument("#3", chat, "append", "user", "x", "y")
      local wrong = { id = { 5, {} }, name = { 5, {} }, tool_call_id = { 5, {} }, tool_calls = { 5, "x" },
        attachments = { 5, "x" },
        created_at = { "5", {}, 1.5 } }
      for name, values in pairs(wrong) do
        for _, value in ipairs(values) do
          check.argument(name, chat, "append", { role = "user", content = "x", [name] = value })
        end
      end
      check.refused("role", chat.append, chat, { content = "x" })
      assert.same({}, assert(chat:history()))
    end)
  end)
end
