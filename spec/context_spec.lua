-- conv:context and conv:context_json against a model in plain Lua, and what they refuse.
local convstore = require "convstore"
local system = require "system"
local backends = require "spec.support.backends"
local cases = require "spec.support.context_cases"
local check = require "spec.support.check"
local decode = require "spec.support.json_text"
local model = require "spec.support.context_model"
local random = require "spec.support.random"
local real_data = require "spec.support.real_data"

-- Compares a call, as tables or as JSON, with the model.
local function compare(method, chat, history, summary, options, what)
  local expected, account = model.context(history, summary, options)
  what = method .. ", " .. what .. ", " .. cases.describe(options)
  local messages, actual, code = chat[method](chat, options)
  if not expected then
    check.fails("too_large", nil, messages, actual, code)
    return
  end
  check.assert(messages, what .. ": " .. tostring(actual))
  check.same_json(expected, method == "context" and messages or decode(messages), what)
  check.same_json(account, actual, what .. ", second result")
end

for _, backend in ipairs(backends) do
  describe("context " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return assert(store:user("alice"):conversation("a")), database, store
    end

    -- What a context holds, on one line: contents, calls as their ids, results as =content.
    local function line(chat, options)
      local words = {}
      for i, message in ipairs(assert(chat:context(options))) do
        words[i] = message.content or ""
        if message.role == "tool" then words[i] = "=" .. words[i] end
        for _, call in ipairs(message.tool_calls or {}) do
          words[i] = words[i] .. "(" .. call.id .. ")"
        end
      end
      return table.concat(words, " ")
    end

    local function calls(...)
      local list = {}
      for i, id in ipairs({ ... }) do
        list[i] = { id = id, type = "function", ["function"] = { name = "f", arguments = "{}" } }
      end
      return list
    end

    -- Appends messages written down briefly: "u:text", "a:text", "s:text", "(c1)(c2)", "c1=text"; one token each.
    local function fill(chat, script)
      local list = {}
      for word in script:gmatch("%S+") do
        local role, text = word:match("^([uas]):(.*)$")
        local id, answer = word:match("^(%w+)=(.*)$")
        local message
        if role then
          message = { role = ({ u = "user", a = "assistant", s = "system" })[role], content = text }
        elseif id then
          message = { role = "tool", tool_call_id = id, content = answer }
        else
          local ids = {}
          for each in word:gmatch("%((%w+)%)") do ids[#ids + 1] = each end
          message = { role = "assistant", tool_calls = calls(table.unpack(ids)) }
        end
        message.token_count = 1
        list[#list + 1] = message
      end
      assert(chat:append_many(list))
    end

    it("of nothing is an empty array", function()
      local chat = fresh()
      for _, options in ipairs({ {}, { max_tokens = 1 }, { max_messages = 1 }, { system = false } }) do
        local messages, account = assert(chat:context(options))
        check.same_json(convstore.array {}, messages)
        check.same_json({ tokens = 0, messages = 0, dropped = 0, truncated = false }, account)
        assert.equal("[]", (chat:context_json(options)))
      end
    end)

    it("is everything where nothing else is said, with what an API takes and no more", function()
      local chat = fresh()
      assert(chat:append_many({
        { role = "system", content = "be brief", metadata = { a = 1 }, token_count = 2 },
        { role = "user", content = "hello", name = "bob", attachments = { { name = "a" } }, token_count = 3 },
        { role = "assistant", tool_calls = calls("c"), token_count = 4 },
        { role = "tool", content = { { type = "text", text = "42" } }, tool_call_id = "c", name = "a b",
          token_count = 5 },
      }))
      assert(chat:annotate(2, { b = 1 }))
      local messages, account = assert(chat:context())
      check.same_json(convstore.array {
        { role = "system", content = "be brief" },
        { role = "user", content = "hello", name = "bob" },
        { role = "assistant", tool_calls = calls("c") },
        { role = "tool", content = { { type = "text", text = "42" } }, tool_call_id = "c" },
      }, messages)
      check.same_json({ tokens = 14, messages = 4, dropped = 0, first_seq = 2, truncated = false }, account)
      check.same_json(messages, (chat:context({})))
      check.same_json(messages, (chat:context(nil)))
    end)

    it("is the newest messages that fit, oldest first, behind the system messages", function()
      local chat = fresh()
      fill(chat, "s:S u:1 a:2 u:3 a:4")
      assert.equal("S 3 4", line(chat, { max_tokens = 3 }))
      assert.equal("S 3 4", line(chat, { max_tokens = 10, reserve = 7 }))
      assert.equal("S 4", line(chat, { max_messages = 1 }))
      assert.equal("3 4", line(chat, { max_tokens = 2, system = false }))
      local _, account = assert(chat:context({ max_tokens = 3 }))
      check.same_json({ tokens = 3, messages = 3, dropped = 2, first_seq = 4, truncated = true }, account)
      _, account = assert(chat:context({ max_tokens = 2, system = false }))
      check.same_json({ tokens = 2, messages = 2, dropped = 2, first_seq = 4, truncated = true }, account)
    end)

    it("pins system and developer messages wherever they stand", function()
      local chat = fresh()
      fill(chat, "u:1 s:S u:2 s:T a:3")
      assert(chat:append("developer", "D", { token_count = 1 }))
      assert.equal("S T D 1 2 3", line(chat))
      assert.equal("S T D 3", line(chat, { max_messages = 1 }))
      assert(chat:redact(2))
      assert.equal("T D 3", line(chat, { max_messages = 1 }))
      local _, account = assert(chat:context({ max_messages = 1 }))
      check.same_json({ tokens = 3, messages = 3, dropped = 2, first_seq = 5, truncated = true }, account)
    end)

    it("never tears a tool exchange", function()
      local chat = fresh()
      fill(chat, "u:1 (c1)(c2) c2=B c1=A a:5 u:6")
      assert.equal("1 (c1)(c2) =A =B 5 6", line(chat))
      assert.equal("(c1)(c2) =A =B 5 6", line(chat, { max_messages = 5 }))
      assert.equal("5 6", line(chat, { max_messages = 4 }))
      assert.equal("5 6", line(chat, { max_tokens = 4 }))
      local _, account = assert(chat:context({ max_tokens = 4 }))
      check.same_json({ tokens = 2, messages = 2, dropped = 4, first_seq = 5, truncated = true }, account)
    end)

    it("puts results behind their call, and what came between behind them", function()
      local chat = fresh()
      fill(chat, "(c1) u:2 c1=A u:4")
      assert.equal("(c1) =A 2 4", line(chat))
      assert.equal("2 4", line(chat, { max_messages = 3 }))
    end)

    it("keeps an open exchange while nothing but its results follows it", function()
      local chat = fresh()
      fill(chat, "u:1 (c1)(c2)")
      assert.equal("1 (c1)(c2)", line(chat))
      fill(chat, "c2=B")
      assert.equal("1 (c1)(c2) =B", line(chat))
      fill(chat, "c2=again")
      assert.equal("1 (c1)(c2) =B", line(chat))
      fill(chat, "u:5")
      assert.equal("1 5", line(chat))
      fill(chat, "c1=A")
      assert.equal("1 (c1)(c2) =A =B 5", line(chat))
    end)

    it("leaves an open exchange out behind which there is a system message, or a redacted one", function()
      local chat, _, store = fresh()
      fill(chat, "u:1 (c1) s:S")
      assert.equal("S 1", line(chat))
      local other = assert(store:user("alice"):conversation("b"))
      fill(other, "u:1 (c1) u:3")
      assert(other:redact(3))
      assert.equal("1", line(other))
      other = assert(store:user("alice"):conversation("c"))
      fill(other, "u:1 (c1)(c2) c1=A c1=again")
      assert.equal("1 (c1)(c2) =A", line(other))
      assert(other:redact(4))
      assert.equal("1", line(other))
    end)

    it("pairs a result with the nearest earlier call of its id, and takes the first", function()
      local chat = fresh()
      fill(chat, "(c1) c1=A (c1) c1=B c1=C u:6 c9=orphan")
      assert.equal("(c1) =A (c1) =B 6", line(chat))
    end)

    it("takes an id that stands twice in one message for one call", function()
      local chat = fresh()
      fill(chat, "(c1)(c1) c1=A u:3")
      assert.equal("(c1)(c1) =A 3", line(chat))
    end)

    it("never pairs the result of a redacted call with an older call of the same id", function()
      local chat = fresh()
      fill(chat, "u:1 (c1) u:3 (c1) c1=A u:6")
      assert(chat:redact(4))
      assert.equal("1 3 6", line(chat))
      assert.is_nil(assert(chat:message(4)).tool_calls)
      assert(chat:redact(4))
      assert.equal("1 3 6", line(chat))
      fill(chat, "c1=late")
      assert.equal("1 3 6", line(chat))
    end)

    it("leaves out redacted messages with their exchange, and costs nothing for them", function()
      local chat = fresh()
      fill(chat, "u:1 (c1)(c2) c1=A c2=B u:5 u:6")
      assert(chat:redact(4))
      assert(chat:redact(5))
      assert.equal("1 6", line(chat))
      assert.equal("1 6", line(chat, { max_tokens = 2 }))
      assert.equal("1 6", line(chat, { max_messages = 2 }))
      local _, account = assert(chat:context({ max_tokens = 2 }))
      check.same_json({ tokens = 2, messages = 2, dropped = 4, first_seq = 1, truncated = true }, account)
    end)

    it("leaves out messages of attachments alone", function()
      local chat = fresh()
      fill(chat, "u:1")
      assert(chat:append({ role = "user", attachments = { { name = "photo" } }, token_count = 100 }))
      assert(chat:append({ role = "system", attachments = { { name = "photo" } }, token_count = 100 }))
      fill(chat, "u:4")
      assert.equal("1 4", line(chat, { max_tokens = 2 }))
      local _, account = assert(chat:context({ max_tokens = 2 }))
      check.same_json({ tokens = 2, messages = 2, dropped = 1, first_seq = 1, truncated = true }, account)
    end)

    it("gives calls to assistants alone and their ids to results alone", function()
      local chat = fresh()
      assert(chat:append({ role = "user", content = "x", tool_calls = calls("c"), tool_call_id = "c" }))
      assert(chat:append({ role = "system", content = "y", tool_calls = calls("c"), tool_call_id = "c" }))
      assert.equal('[{"content":"y","role":"system"},{"content":"x","role":"user"}]', (chat:context_json()))
      check.same_json({ role = "user", content = "x" }, assert(chat:context())[2])
    end)

    it("carries a name only where every API takes it", function()
      local chat = fresh()
      for _, name in ipairs({ "bob", "A-z_9", ("x"):rep(64) }) do
        assert(chat:append("user", "x", { name = name }))
        assert.equal(name, assert(chat:context({ max_messages = 1 }))[1].name)
      end
      for _, name in ipairs({ "", ("x"):rep(65), "a b", "a.b", "Zoë", "a\n", "[" }) do
        assert(chat:append("user", "x", { name = name }))
        check.same_json({ role = "user", content = "x" }, assert(chat:context({ max_messages = 1 }))[1])
        assert.equal('[{"content":"x","role":"user"}]', (chat:context_json({ max_messages = 1 })))
      end
    end)

    it("takes the empty string and the empty array for contents", function()
      local chat = fresh()
      assert(chat:append("user", ""))
      assert(chat:append("assistant", convstore.array {}))
      assert.equal('[{"content":"","role":"user"},{"content":[],"role":"assistant"}]', (chat:context_json()))
      local empty = convstore.array {}
      check.same_json({ { role = "user", content = "" }, { role = "assistant", content = empty } },
        (assert(chat:context())))
    end)

    it("costs nothing for what was redacted of the system messages", function()
      local chat = fresh()
      assert(chat:append("system", "S", { token_count = 1000000 }))
      fill(chat, ("u:1 "):rep(50) .. "u:2 u:3")
      check.fails("too_large", "system", chat:context({ max_tokens = 2 }))
      assert(chat:redact(1))
      assert.equal("2 3", line(chat, { max_tokens = 2 }))
      assert.equal("3", line(chat, { max_tokens = 1 }))
      assert.equal(52, #assert(chat:context({ max_tokens = 100 })))
    end)

    it("gives too_large where not even the newest item fits", function()
      local chat = fresh()
      fill(chat, "s:S u:1 (c1)(c2) c1=A c2=B")
      local _, said = check.fails("too_large", "max_tokens", chat:context({ max_tokens = 3 }))
      assert.truthy(said:find("3 tokens", 1, true) and said:find("room for 2", 1, true), said)
      check.fails("too_large", "max_tokens", chat:context({ max_tokens = 10, reserve = 7 }))
      check.fails("too_large", "max_messages", chat:context({ max_messages = 2 }))
      check.fails("too_large", "max_messages", chat:context_json({ max_messages = 2 }))
      assert.equal("S (c1)(c2) =A =B", line(chat, { max_messages = 3 }))
    end)

    it("gives too_large where the system messages alone do not fit", function()
      local chat = fresh()
      fill(chat, "s:S s:T")
      check.fails("too_large", "system", chat:context({ max_tokens = 1 }))
      assert.equal("S T", line(chat, { max_tokens = 2 }))
      assert.equal("", line(chat, { max_tokens = 1, system = false }))
    end)

    it("gives invalid for a value out of range", function()
      local chat = fresh()
      fill(chat, "u:1")
      for _, method in ipairs({ "context", "context_json" }) do
        local wrong = {
          max_tokens = { 0, -1, math.mininteger }, max_messages = { 0, -1, math.mininteger },
          reserve = { -1, math.mininteger }, format = { "", "x", "OpenAI", "anthropic " },
        }
        for name, values in pairs(wrong) do
          for _, value in ipairs(values) do
            check.fails("invalid", name, chat[method](chat, { [name] = value }))
          end
        end
        check.fails("invalid", "reserve", chat[method](chat, { max_tokens = 5, reserve = 5 }))
        check.fails("invalid", "reserve", chat[method](chat, { max_tokens = 5, reserve = math.maxinteger }))
      end
    end)

    it("raises for wrong types and unknown names", function()
      local chat = fresh()
      local wrong = {
        max_tokens = { "5", 1.5, true, {}, 2.0 ^ 53, 0 / 0 }, max_messages = { "5", 0.5, 1 / 0 },
        reserve = { "5", 0.5, {} }, system = { 1, "true" }, format = { 1, true, {} }, limit = { 1 },
      }
      for name, values in pairs(wrong) do
        for _, value in ipairs(values) do
          check.argument(name, chat, "context", { [name] = value })
          check.argument(name, chat, "context_json", { [name] = value })
        end
      end
      check.argument("#1", chat, "context", 5)
      check.argument("#1", chat, "context_json", "x")
    end)

    it("takes integers as floats, and the largest numbers there are", function()
      local chat = fresh()
      fill(chat, "s:S u:1 u:2")
      assert.equal("S 2", line(chat, { max_tokens = 3.0, reserve = 1.0, max_messages = 5.0 }))
      local most = math.maxinteger
      assert.equal("S 1 2", line(chat, { max_tokens = most, max_messages = most }))
      assert.equal("S 1 2", line(chat, { max_tokens = most, reserve = most - 3 }))
      check.fails("too_large", nil, chat:context({ max_tokens = most, reserve = most - 1 }))
      assert.equal("S 1 2", line(chat, { reserve = most }))
    end)

    it("adds up the largest token counts", function()
      local chat = fresh()
      for i = 1, 5 do
        assert(chat:append(i == 1 and "system" or "user", "x", { token_count = 2147483647 }))
      end
      local _, account = assert(chat:context())
      assert.equal(5 * 2147483647, account.tokens)
      _, account = assert(chat:context({ max_tokens = 3 * 2147483647 }))
      assert.equal(3, account.messages)
    end)

    it("is not found where the conversation is deleted, or gone", function()
      local chat = fresh()
      fill(chat, "u:1")
      assert(chat:delete())
      check.fails("not_found", nil, chat:context())
      check.fails("not_found", nil, chat:context_json())
      assert(chat:restore())
      assert.equal("1", line(chat))
      assert(chat:purge())
      check.fails("not_found", nil, chat:context())
    end)

    it("sees what the transaction around it wrote", function()
      local chat, _, store = fresh()
      fill(chat, "u:1")
      assert(store:transaction(function()
        fill(chat, "u:2")
        assert.equal("1 2", line(chat))
        assert(chat:redact(1))
        assert.equal("2", line(chat))
        return true
      end))
      assert.equal("2", line(chat))
    end)

    it("looks back as far as it must past what costs nothing", function()
      local chat = fresh()
      local batch = { { role = "user", content = "first", token_count = 1 } }
      for i = 2, 5000 do
        batch[i] = { role = "tool", tool_call_id = "orphan", content = "x", token_count = 1000 }
      end
      batch[5001] = { role = "user", content = "last", token_count = 1 }
      assert(chat:append_many(batch))
      assert.equal("first last", line(chat, { max_tokens = 2 }))
      assert.equal("first last", line(chat, { max_messages = 2 }))
      assert.equal("last", line(chat, { max_tokens = 1 }))
      local _, account = assert(chat:context())
      check.same_json({ tokens = 2, messages = 2, dropped = 4999, first_seq = 1, truncated = true }, account)
    end)

    it("holds an exchange of many calls, and a history of many messages", function()
      local chat = fresh()
      local ids, batch = {}, {}
      for i = 1, 1000 do ids[i] = "call_" .. i end
      batch[1] = { role = "assistant", tool_calls = calls(table.unpack(ids)), token_count = 1 }
      for i = 1000, 1, -1 do
        batch[#batch + 1] = { role = "tool", tool_call_id = ids[i], content = tostring(i), token_count = 1 }
      end
      assert(chat:append_many(batch))
      local messages = assert(chat:context())
      assert.equal(1001, #messages)
      for i = 1, 1000 do assert.equal(tostring(i), messages[i + 1].content) end
      check.fails("too_large", "1001", chat:context({ max_messages = 1000 }))
      batch = {}
      for i = 1, 4500 do batch[i] = { role = "user", content = tostring(i), token_count = 0 } end
      assert(chat:append_many(batch))
      messages = assert(chat:context({ max_messages = 4500 }))
      assert.equal(4500, #messages)
      for i = 1, 4500 do assert(messages[i].content == tostring(i)) end
      assert.equal(4501 + 1000, #assert(chat:context({ max_tokens = 1001 })))
    end)

    it("costs what its window costs, however long the history is", function()
      local _, _, store = fresh()
      local function fastest(n)
        local chat = assert(store:user("alice"):conversation("of " .. n))
        local batch = { { role = "system", content = "S" } }
        for i = 2, n do batch[i] = { role = "user", content = "some text of a message " .. i } end
        assert(chat:append_many(batch))
        local best = math.huge
        for _ = 1, 20 do
          local started = system.monotime()
          local messages = assert(chat:context({ max_tokens = 100 }))
          best = math.min(best, system.monotime() - started)
          assert.equal(15, #messages)
        end
        return best
      end
      local short, long = fastest(100), fastest(10000)
      assert.is_true(long < 4 * short + 0.001, ("%.0f and %.0f us"):format(short * 1e6, long * 1e6))
    end)

    it("writes the JSON that the library's own encoder writes", function()
      local chat = fresh()
      local all = {}
      for byte = 1, 127 do all[byte] = string.char(byte) end
      local text = table.concat(all) .. "é你😀"
      assert(chat:append("user", text))
      local escaped = text:gsub('[%c"\\\127]', function(c)
        local short = { ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n", ["\f"] = "\\f", ["\r"] = "\\r",
          ['"'] = '\\"', ["\\"] = "\\\\", ["\127"] = "\127" }
        return short[c] or ("\\u%04x"):format(c:byte())
      end)
      assert.equal('[{"content":"' .. escaped .. '","role":"user"}]', (chat:context_json()))
      -- At every place of a word of eight bytes, and at its borders.
      for before = 0, 20 do
        for _, c in ipairs({ '"', "\\", "\n", "\31" }) do
          for _, behind in ipairs({ 0, 1, 7, 8, 9 }) do
            local one = ("x"):rep(before) .. c .. ("é"):rep(behind)
            assert(chat:append("user", one))
            assert.equal(one, decode((chat:context_json({ max_messages = 1 })))[1].content)
          end
        end
      end
    end)

    it("answers as the model for random options on random histories", function()
      local _, database, store = fresh()
      local all = {}
      for round = 1, 60 do
        local source = random.new(round)
        local chat = assert(store:user("alice"):conversation("r" .. round))
        local stored = assert(chat:append_many(cases.messages(source, source:int(1, 40), round % 3 == 0)))
        for _ = 1, source:pick({ 0, 0, 1, 2, 4 }) do
          assert(chat:redact(source:int(1, chat.last_seq)))
        end
        if source:chance(30) then assert(chat:annotate(source:int(1, chat.last_seq), { x = 1 })) end
        local summary
        if source:chance(40) then
          for ordinal = 1, source:int(1, 2) do
            summary = { through = source:int(1, chat.last_seq), content = "so far " .. ordinal,
              token_count = source:int(0, 9) }
            cases.summarize(chat, summary)
          end
        end
        all[round] = { chat = chat, summary = summary, history = cases.history(chat, stored),
          source = source }
      end
      local function try(round, n)
        local case = all[round]
        for i = 1, n do
          local options = cases.options(case.source, case.history)
          if i % 3 > 0 then
            compare("context", case.chat, case.history, case.summary, options, "round " .. round)
          end
          if i % 3 < 2 then
            compare("context_json", case.chat, case.history, case.summary, options, "round " .. round)
          end
        end
      end
      for round = 1, #all do try(round, 40) end
      if backend.shared then
        cases.archive(database)
        for round = 1, #all do try(round, 5) end
      end
    end)

    it("puts the latest summary in the place of what it stands for", function()
      local chat = fresh()
      fill(chat, "s:S u:1 a:2 u:3 s:T u:4")
      cases.summarize(chat, { through = 2, content = "older", token_count = 1 })
      cases.summarize(chat, { through = 3, content = "sum", token_count = 2 })
      assert.equal("S T sum 3 4", line(chat))
      local _, account = assert(chat:context({ max_tokens = 5 }))
      check.same_json({ tokens = 5, messages = 4, dropped = 1, first_seq = 6, truncated = true }, account)
      assert.equal("3 4", line(chat, { system = false }))
      assert.equal("4", line(chat, { system = false, max_tokens = 1 }))
      check.fails("too_large", "summary", chat:context({ max_tokens = 3 }))
      cases.summarize(chat, { through = 6, content = "all", token_count = 0 })
      assert.equal("S T all", line(chat, { max_tokens = 2 }))
      _, account = assert(chat:context())
      check.same_json({ tokens = 2, messages = 3, dropped = 0, truncated = false }, account)
      assert.equal('[{"content":"S","role":"system"},{"content":"T","role":"system"},'
        .. '{"content":"all","role":"system"}]', (chat:context_json()))
    end)

    it("leaves out results whose call a summary stands for", function()
      local chat = fresh()
      fill(chat, "u:1 (c1)(c2) c1=A c2=B u:5")
      cases.summarize(chat, { through = 3, content = "sum", token_count = 1 })
      assert.equal("sum 5", line(chat))
      local _, account = assert(chat:context())
      check.same_json({ tokens = 2, messages = 2, dropped = 1, first_seq = 5, truncated = true }, account)
    end)

    if backend.shared then
      it("is the same of an archived conversation", function()
        local chat, database = fresh()
        fill(chat, "s:S u:1 (c1) c1=A a:4")
        local before, account = assert(chat:context_json({ max_messages = 3 }))
        cases.archive(database)
        local after, account_after = assert(chat:context_json({ max_messages = 3 }))
        assert.equal(before, after)
        check.same_json(account, account_after)
        assert.equal("(c1) =A 4", line(chat, { system = false, max_tokens = 3 }))
        assert.equal("S (c1) =A 4", line(chat, { max_tokens = 4 }))
      end)

      if not real_data.is_there() then
        pending("of real conversations is not tested: there is no data in " .. real_data.folder())
      else
        it("answers as the model on real conversations", function()
          local _, _, store = fresh()
          local folder = real_data.folder()
          assert.equal(700, (real_data.write_with_ids(store, folder)))
          local tried = 0
          real_data.each(folder, function(user_id, key)
            local chat = assert(store:user(user_id):conversation(key))
            local history = assert(chat:history())
            for i, options in ipairs({ {}, { max_tokens = 200 }, { max_tokens = 200 }, { max_messages = 4,
              max_tokens = 1000, reserve = 300 } }) do
              compare(i % 2 == 0 and "context" or "context_json", chat, history, nil, options, key)
              tried = tried + 1
            end
          end)
          assert.equal(2800, tried)
        end)
      end
    end
  end)
end
