-- Messages as a JSON decoder without integers, and with nulls, hands them on: lua-cjson, for one.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local convstore = require "convstore"

local null = convstore.null

for _, backend in ipairs(backends) do
  describe("a decoded value " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local user = backend.fresh(options):user("alice")
      return assert(user:conversation("k")), user
    end

    it("may have null for every field of a message, which is then absent", function()
      local chat = fresh()
      local stored = assert(chat:append({
        role = "assistant", content = "x", id = null, name = null, tool_calls = null, tool_call_id = null,
        attachments = null, metadata = null, token_count = null, created_at = null, expect = null,
      }))
      for _, field in ipairs({ "name", "tool_calls", "tool_call_id", "attachments", "metadata" }) do
        assert.is_nil(stored[field], field)
      end
      assert.equal(1, stored.token_count)
      assert.equal(2, assert(chat:append("user", "y", { name = null })).seq)
      assert.equal(3, assert(chat:append_many({ { role = "user", content = "z", name = null } }))[1].seq)
      check.fails("invalid", "role", chat:append({ role = null, content = "x" }))
    end)

    it("may have null for every field of a new conversation", function()
      local _, user = fresh()
      local made = assert(user:create({ id = null, key = null, title = null, status = null, metadata = null,
        created_at = null }))
      assert.is_nil(made.key)
      assert.is_nil(made.title)
      assert.equal("active", made.status)
      assert.equal("active", assert(user:conversation("other", { title = null, status = null })).status)
    end)

    it("may have a float as an attachment's size, and nulls in it", function()
      local chat = fresh()
      local stored = assert(chat:append({ role = "user", attachments = {
        { url = "u", size = 5.0, name = null, sha256 = null, mime_type = null }, { url = "v", size = null },
      } }))
      assert.equal(5, stored.attachments[1].size)
      assert.equal(null, stored.attachments[1].name)
      for _, size in ipairs({ -1.0, 0.5, 2.0 ^ 53, "5" }) do
        check.fails("invalid", "attachments",
          chat:append({ role = "user", attachments = { { size = size } } }))
      end
    end)

    it("with bad bytes keeps a call and its result together where they are replaced", function()
      local chat = fresh({ text = "replace" })
      local call = assert(chat:append({ role = "assistant", tool_calls = { { id = "call\xff" } } }))
      local result = assert(chat:append("tool", "out\xff", { tool_call_id = "call\xff" }))
      assert.equal("call\u{FFFD}", result.tool_call_id)
      assert.equal(result.tool_call_id, call.tool_calls[1].id)
    end)
  end)
end
