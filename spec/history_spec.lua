-- conv:history against a model in plain Lua, and what it refuses.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local model = require "spec.support.history_model"
local random = require "spec.support.random"

for _, backend in ipairs(backends) do
  describe("history " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return assert(store:user("alice"):conversation("a")), store, database
    end

    local function contents(chat, options)
      local list = {}
      for i, message in ipairs(assert(chat:history(options))) do
        list[i] = message.content
      end
      return table.concat(list, " ")
    end

    it("of nothing is an empty array", function()
      local chat = fresh()
      assert.same({}, assert(chat:history()))
      assert.same({}, assert(chat:history({ after = 0, before = 10, limit = 5, role = "user",
        order = "desc" })))
    end)

    it("is everything, oldest first, where nothing else is said", function()
      local chat = fresh()
      model.fill(chat, { "user", "assistant", "user" })
      assert.equal("1 2 3", contents(chat))
      assert.equal("1 2 3", contents(chat, {}))
      assert.equal("1 2 3", contents(chat, nil))
    end)

    it("counts its limit forwards from after, else backwards from before or the end", function()
      local chat = fresh()
      model.fill(chat, { "user", "assistant", "user", "assistant", "user", "assistant" })
      assert.equal("5 6", contents(chat, { limit = 2 }))
      assert.equal("3 4", contents(chat, { limit = 2, before = 5 }))
      assert.equal("3 4", contents(chat, { limit = 2, after = 2 }))
      assert.equal("3 4", contents(chat, { limit = 2, after = 2, before = 6 }))
      assert.equal("1 2", contents(chat, { limit = 2, after = 0 }))
      assert.equal("6 5", contents(chat, { limit = 2, order = "desc" }))
      assert.equal("4 3", contents(chat, { limit = 2, after = 2, order = "desc" }))
      assert.equal("2 4 6", contents(chat, { role = "assistant" }))
      assert.equal("4 6", contents(chat, { role = "assistant", limit = 2 }))
      assert.equal("2 4", contents(chat, { role = { "assistant", "system" }, limit = 2, after = 1 }))
      assert.equal("1 2 3 4 5 6", contents(chat, { role = { "assistant", "user", "user" } }))
    end)

    it("answers as the model for random options on random histories", function()
      for round = 1, 12 do
        local source = random.new(round)
        local chat = fresh()
        local roles = model.random_roles(source, source:int(1, 40))
        model.fill(chat, roles)
        for _ = 1, 100 do
          local options = model.random_options(source, #roles)
          local expected = table.concat(model.seqs(roles, options), " ")
          assert.equal(expected, contents(chat, options),
            "round " .. round .. ", " .. model.describe(options))
        end
      end
    end)

    it("gives whole messages", function()
      local chat = fresh()
      local stored = assert(chat:append_many({
        { role = "user", content = "look", attachments = { { name = "a.png" } }, metadata = { a = 1 } },
        { role = "assistant", tool_calls = { { id = "c" } } },
        { role = "tool", content = { { type = "text", text = "42" } }, tool_call_id = "c", name = "f" },
      }))
      check.same_json(stored, assert(chat:history()))
    end)

    it("reads as many as there are", function()
      local chat = fresh()
      local batch = {}
      for i = 1, 5000 do
        batch[i] = { role = "user", content = tostring(i) }
      end
      assert(chat:append_many(batch))
      local history = assert(chat:history())
      assert.equal(5000, #history)
      for seq, message in ipairs(history) do
        assert(message.seq == seq and message.content == tostring(seq))
      end
    end)

    it("gives invalid for a value out of range", function()
      local chat = fresh()
      model.fill(chat, { "user" })
      local wrong = {
        limit = { 0, -1, math.mininteger }, after = { -1, math.mininteger }, before = { -1, math.mininteger },
        order = { "", "x", "ASC", "desc " }, role = { "", "x", "User", { "user", "x" } },
      }
      for name, values in pairs(wrong) do
        for _, value in ipairs(values) do
          check.fails("invalid", name, chat:history({ [name] = value }))
        end
      end
    end)

    it("raises for wrong types and unknown names", function()
      local chat = fresh()
      local wrong = {
        limit = { "5", 1.5, true, {}, 2.0 ^ 53 }, after = { "5", 0.5, {} }, before = { "5", 0.5, {} },
        order = { 1, true, {} },
        role = { 1, true, { 5 }, { "user", true } }, nonsense = { 1 }, last = { 1 },
      }
      for name, values in pairs(wrong) do
        for _, value in ipairs(values) do
          check.argument(name, chat, "history", { [name] = value })
        end
      end
      check.argument("#1", chat, "history", 5)
      check.argument("#1", chat, "history", "x")
    end)

    it("takes integers as floats, and borders beyond the history", function()
      local chat = fresh()
      model.fill(chat, { "user", "user", "user" })
      assert.equal("2", contents(chat, { after = 1.0, before = 3.0, limit = 5.0 }))
      assert.equal("", contents(chat, { after = math.maxinteger }))
      assert.equal("", contents(chat, { before = 0 }))
      assert.equal("", contents(chat, { before = 1 }))
      assert.equal("", contents(chat, { after = 2, before = 2 }))
      assert.equal("", contents(chat, { after = 3, before = 1 }))
      assert.equal("1 2 3", contents(chat, { before = math.maxinteger, limit = math.maxinteger }))
    end)

    if backend.shared then
      it("sees what another connection has added", function()
        local chat, _, database = fresh()
        local other = assert(database:open():user("alice"):conversation("a"))
        for i = 1, 3 do
          assert(other:append("user", tostring(i)))
          assert.equal(i, #assert(chat:history()))
        end
      end)
    end
  end)
end
