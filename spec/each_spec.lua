-- conv:each: the answer of history, a message at a time, in constant memory.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local model = require "spec.support.history_model"
local random = require "spec.support.random"

for _, backend in ipairs(backends) do
  describe("each " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return assert(store:user("alice"):conversation("a")), store, database
    end

    local function contents(chat, options)
      local list = {}
      for message in chat:each(options) do
        list[#list + 1] = message.content
      end
      return table.concat(list, " ")
    end

    -- A conversation of n messages of `size` bytes.
    local function long(n, size, options)
      local chat, store, database = fresh(options)
      local text = ("x"):rep(size)
      for first = 1, n, 500 do
        local batch = {}
        for _ = first, math.min(n, first + 499) do
          batch[#batch + 1] = { role = "user", content = text }
        end
        assert(chat:append_many(batch))
      end
      return chat, store, database
    end

    it("of nothing ends at once", function()
      local chat = fresh()
      assert.equal("", contents(chat))
    end)

    it("answers as the model for random options on random histories", function()
      for round = 1, 6 do
        local source = random.new(1000 + round)
        local chat = fresh()
        local roles = model.random_roles(source, source:int(1, 60))
        model.fill(chat, roles)
        for _ = 1, 60 do
          local options = model.random_options(source, #roles)
          local expected = table.concat(model.seqs(roles, options), " ")
          assert.equal(expected, contents(chat, options),
            "round " .. round .. ", " .. model.describe(options))
        end
      end
    end)

    it("answers as the model on a history of many pages", function()
      local source = random.new(7)
      local chat = fresh()
      local roles = model.random_roles(source, 2000)
      model.fill(chat, roles)
      for _ = 1, 10 do
        local options = model.random_options(source, #roles)
        local expected = table.concat(model.seqs(roles, options), " ")
        assert.is_true(expected == contents(chat, options), model.describe(options))
      end
    end)

    it("gives whole messages", function()
      local chat = fresh()
      local stored = assert(chat:append_many({
        { role = "user", content = "look", attachments = { { name = "a.png" } }, metadata = { a = 1 } },
        { role = "assistant", tool_calls = { { id = "c" } } },
      }))
      local seen = {}
      for message in chat:each() do
        seen[#seen + 1] = message
      end
      check.same_json(stored, seen)
    end)

    it("may be left early, and begun again", function()
      local chat = fresh()
      model.fill(chat, { "user", "user", "user" })
      for _ = 1, 50 do
        for message in chat:each() do
          if message.seq == 2 then break end
          assert.equal("1", message.content)
        end
      end
      assert(chat:append("user", "4"))
      assert.equal("1 2 3 4", contents(chat))
    end)

    it("may run inside itself", function()
      local chat = fresh()
      model.fill(chat, { "user", "user", "user" })
      local seen = {}
      for outer in chat:each() do
        for inner in chat:each({ order = "desc" }) do
          seen[#seen + 1] = outer.content .. inner.content
        end
      end
      assert.equal("13 12 11 23 22 21 33 32 31", table.concat(seen, " "))
    end)

    it("may be run by coroutines that take turns", function()
      local chat = fresh()
      model.fill(chat, { "user", "user", "user" })
      local function reader(order)
        return coroutine.wrap(function()
          for message in chat:each({ order = order }) do
            coroutine.yield(message.content)
          end
        end)
      end
      local up, down = reader("asc"), reader("desc")
      assert.equal("1 3 2 2 3 1", table.concat({ up(), down(), up(), down(), up(), down() }, " "))
    end)

    it("sees none twice and all in order when messages are appended meanwhile", function()
      local chat = fresh()
      model.fill(chat, model.random_roles(random.new(3), 300))
      for _, order in ipairs({ "asc", "desc" }) do
        local before = chat.last_seq
        local last, n = order == "asc" and 0 or before + 1, 0
        for message in chat:each({ order = order }) do
          if n % 10 == 0 and n < 3000 then
            assert(chat:append("user", "meanwhile"))
          end
          if order == "asc" then
            assert(message.seq == last + 1)
          else
            assert(message.seq == last - 1)
          end
          last, n = message.seq, n + 1
        end
        assert.is_true(n >= before)
      end
    end)

    it("ends though every message that it gives is answered by a new one", function()
      local chat = fresh()
      model.fill(chat, { "user", "user", "user" })
      local n = 0
      for _ in chat:each() do
        n = n + 1
        assert(n <= 300, "there is no end")
        assert(chat:append("assistant", "more"))
      end
      assert.is_true(n >= 3)
    end)

    it("keeps little of a long history in memory", function()
      local chat = long(3000, 2000)
      collectgarbage()
      collectgarbage()
      local before, highest, n = collectgarbage("count"), 0, 0
      for message in chat:each() do
        n = n + 1
        assert(#message.content == 2000)
        if n % 100 == 0 then
          collectgarbage()
          highest = math.max(highest, collectgarbage("count"))
        end
      end
      assert.equal(3000, n)
      assert.is_true(highest - before < 2048, ("%.0f KiB"):format(highest - before))
    end)

    it("keeps little in memory where the messages are large", function()
      local chat = long(12, 1000000, { durability = "normal" })
      collectgarbage()
      collectgarbage()
      local before, highest = collectgarbage("count"), 0
      for message in chat:each({ order = "desc" }) do
        assert(#message.content == 1000000)
        message = nil -- luacheck: ignore
        collectgarbage()
        highest = math.max(highest, collectgarbage("count"))
      end
      assert.is_true(highest - before < 5000, ("%.0f KiB"):format(highest - before))
    end)

    it("raises for values that break a rule", function()
      local chat = fresh()
      model.fill(chat, { "user" })
      for name, value in pairs({ limit = 0, after = -1, before = -1, order = "x", role = "x" }) do
        check.raises("^invalid: .*" .. name, contents, chat, { [name] = value })
      end
    end)

    it("raises for wrong types and unknown names", function()
      local chat = fresh()
      for name, value in pairs({ limit = "5", after = {}, before = true, order = 1, role = 5,
        nonsense = 1 }) do
        check.argument(name, chat, "each", { [name] = value })
      end
      check.argument("#1", chat, "each", 5)
    end)

    it("raises when the conversation goes away inside the loop", function()
      local chat, store = long(3000, 2000)
      local other = assert(store:user("alice"):get(chat.id))
      local n = 0
      check.raises("^not_found: ", function()
        for _ in chat:each() do
          n = n + 1
          if n == 1 then
            assert(other:purge())
          end
        end
      end)
      assert.is_true(n >= 1 and n < 3000)
    end)

    it("lets an error of the loop's body through", function()
      local chat = fresh()
      model.fill(chat, { "user", "user" })
      local failure = {}
      local ok, raised = pcall(function()
        for _ in chat:each() do
          error(failure)
        end
      end)
      assert.is_false(ok)
      assert.equal(failure, raised)
      assert.equal("1 2", contents(chat))
    end)

    it("runs inside a transaction", function()
      local chat, store = fresh()
      assert(store:transaction(function()
        model.fill(chat, { "user", "user", "user" })
        assert.equal("1 2 3", contents(chat))
        return true
      end))
    end)
  end)
end
