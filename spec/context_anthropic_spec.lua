-- conv:context{ format = "anthropic" }: fixed examples, and random histories that the API must take.
local convstore = require "convstore"
local anthropic = require "spec.support.anthropic_model"
local backends = require "spec.support.backends"
local cases = require "spec.support.context_cases"
local check = require "spec.support.check"
local decode = require "spec.support.json_text"
local model = require "spec.support.context_model"
local random = require "spec.support.random"

local function call(id, arguments, name)
  return { id = id, type = "function", ["function"] = { name = name or "f", arguments = arguments or "{}" } }
end

for _, backend in ipairs(backends) do
  describe("anthropic context " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return assert(store:user("alice"):conversation("a")), database, store
    end

    -- The array of a conversation of these messages, one token each, seen to be the same as JSON; the second result.
    local function context(messages, options)
      local chat = fresh()
      for _, message in ipairs(messages) do message.token_count = message.token_count or 1 end
      assert(chat:append_many(messages))
      options = options or {}
      options.format = "anthropic"
      local turns, account = assert(chat:context(options))
      local json, again = assert(chat:context_json(options))
      check.same_json(turns, decode(json))
      check.same_json(account, again)
      anthropic.validate(turns)
      return turns, account
    end

    it("of nothing is an empty array", function()
      local turns, account = context({})
      check.same_json(convstore.array {}, turns)
      check.same_json({ tokens = 0, messages = 0, dropped = 0, truncated = false }, account)
    end)

    it("keeps texts as strings, and gives the system text apart", function()
      local turns, account = context({
        { role = "system", content = "Be brief." },
        { role = "user", content = "hello", name = "bob" },
        { role = "assistant", content = "hi" },
        { role = "developer", content = { { type = "text", text = "One" },
          { type = "text", text = "Two" } } },
      })
      check.same_json({ { role = "user", content = "hello" }, { role = "assistant", content = "hi" } },
        turns)
      check.same_json({ system = "Be brief.\n\nOne\nTwo", tokens = 4, messages = 2, dropped = 0,
        first_seq = 2, truncated = false }, account)
      turns, account = context({ { role = "system", content = "S" }, { role = "user", content = "u" } },
        { system = false })
      check.same_json({ { role = "user", content = "u" } }, turns)
      assert.is_nil(account.system)
    end)

    it("joins neighbours of one role", function()
      check.same_json({
        { role = "user", content = { { type = "text", text = "a" }, { type = "text", text = "b" } } },
        { role = "assistant", content = { { type = "text", text = "c" }, { type = "text", text = "d" } } },
      }, (context({
        { role = "user", content = "a" }, { role = "system", content = "S" },
        { role = "user", content = "b" },
        { role = "assistant", content = "c" },
        { role = "assistant", content = { { type = "text", text = "d" } } },
      })))
    end)

    it("makes blocks of calls and results, the results first in one turn", function()
      check.same_json({
        { role = "user", content = "q" },
        { role = "assistant", content = {
          { type = "text", text = "let me see" },
          { type = "tool_use", id = "c1", name = "f", input = { a = { 1, 2.5 } } },
          { type = "tool_use", id = "c2", name = "g", input = { arguments = "oops" } },
        } },
        { role = "user", content = {
          { type = "tool_result", tool_use_id = "c1", content = "A" },
          { type = "tool_result", tool_use_id = "c2", content = { { type = "text", text = "B" } } },
          { type = "text", text = "and?" },
        } },
        { role = "assistant", content = "done" },
      }, (context({
        { role = "user", content = "q" },
        { role = "assistant", content = "let me see",
          tool_calls = { call("c1", '{ "a": [1, 2.5] }'), call("c2", "oops", "g") } },
        { role = "user", content = "and?" },
        { role = "tool", tool_call_id = "c2", content = { { type = "text", text = "B" } } },
        { role = "tool", tool_call_id = "c1", content = "A" },
        { role = "assistant", content = "done" },
      })))
    end)

    it("gives arguments as an object whatever they are", function()
      for text, input in pairs(cases.arguments) do
        local turns = context({ { role = "user", content = "q" },
          { role = "assistant", tool_calls = { call("c", text) } } })
        check.same_json({ type = "tool_use", id = "c", name = "f", input = input }, turns[2].content[1], text)
      end
      local long = '{"n":12345678901234567890}' -- no integer of 64 bits
      local turns = context({ { role = "user", content = "q" },
        { role = "assistant", tool_calls = { call("c", long) } } })
      check.same_json({ n = 12345678901234567890.0 }, turns[2].content[1].input)
      turns = context({ { role = "user", content = "q" }, { role = "assistant", tool_calls = {
        { id = "c" }, { id = "d", ["function"] = { name = "f", arguments = { a = 1 } } } } } })
      check.same_json({ { type = "tool_use", id = "c", name = "unknown", input = {} },
        { type = "tool_use", id = "d", name = "f", input = { a = 1 } } }, turns[2].content)
    end)

    it("makes images of image_url parts, and passes other parts", function()
      local function image(url)
        return { type = "image_url", image_url = { url = url, detail = "low" } }
      end
      check.same_json({ { role = "user", content = {
        { type = "image", source = { type = "base64", media_type = "image/png", data = "AAAA" } },
        { type = "image", source = { type = "base64", media_type = "image/gif", data = "" } },
        { type = "image", source = { type = "url", url = "https://example.org/a.png" } },
        { type = "image", source = { type = "url", url = "data:image/png,AAAA" } },
        { type = "image", source = { type = "url", url = "data:;base64,AAAA" } },
        { type = "image", source = { type = "url", url = "x" } },
        { type = "document", source = { id = 9007199254740993, big = 1e300 } },
        { type = "image_url", image_url = { file = 1 } },
      } } }, (context({ { role = "user", content = {
        image("data:image/png;base64,AAAA"), image("DATA:image/gif;charset=x;BASE64,"),
        image("https://example.org/a.png"), image("data:image/png,AAAA"), image("data:;base64,AAAA"),
        { type = "image_url", image_url = "x" },
        { type = "document", source = { id = 9007199254740993, big = 1e300 } },
        { type = "image_url", image_url = { file = 1 } },
      } } })))
    end)

    it("leaves out empty texts, and what has nothing else", function()
      local turns, account = context({
        { role = "system", content = "", token_count = 5 },
        { role = "system", content = { { type = "image_url", image_url = { url = "x" } } }, token_count = 5 },
        { role = "user", content = "" },
        { role = "user", content = { { type = "text", text = "" } } },
        { role = "user", content = "q" },
        { role = "assistant", content = " \n", token_count = 7 },
        { role = "user", content = convstore.array {} },
        { role = "user", content = { { type = "text", text = "" }, { type = "text", text = "r" } } },
      })
      check.same_json({ { role = "user",
        content = { { type = "text", text = "q" }, { type = "text", text = "r" } } } }, turns)
      check.same_json({ tokens = 2, messages = 1, dropped = 4, first_seq = 5, truncated = true }, account)
      check.same_json({
        { role = "user", content = "q" },
        { role = "assistant", content = { { type = "tool_use", id = "c", name = "f", input = {} } } },
        { role = "user", content = { { type = "tool_result", tool_use_id = "c" } } },
      }, (context({ { role = "user", content = "q" },
        { role = "assistant", content = "", tool_calls = { call("c") } },
        { role = "tool", tool_call_id = "c", content = "" } })))
    end)

    it("begins with a user's message", function()
      local messages = {
        { role = "assistant", content = "welcome" },
        { role = "assistant", tool_calls = { call("c") } },
        { role = "tool", tool_call_id = "c", content = "A" },
        { role = "assistant", content = "well" },
        { role = "user", content = "q" },
      }
      local turns, account = context(messages)
      check.same_json({ { role = "user", content = "q" } }, turns)
      check.same_json({ tokens = 1, messages = 1, dropped = 4, first_seq = 5, truncated = true }, account)
      turns, account = context({ messages[1] })
      check.same_json(convstore.array {}, turns)
      check.same_json({ tokens = 0, messages = 0, dropped = 1, truncated = true }, account)
    end)

    it("is too large where no message of a user's fits, since the API takes no empty array", function()
      local chat = fresh()
      assert(chat:append_many({
        { role = "user", content = "q", token_count = 9 },
        { role = "assistant", content = "a", token_count = 1 },
        { role = "assistant", content = "b", token_count = 1 },
      }))
      check.fails("too_large", "user", chat:context({ format = "anthropic", max_messages = 2 }))
      check.fails("too_large", "user", chat:context_json({ format = "anthropic", max_tokens = 2 }))
      assert.equal(2, #assert(chat:context({ max_messages = 2 })))
    end)

    it("keeps calls that wait for results at the end", function()
      check.same_json({
        { role = "user", content = "q" },
        { role = "assistant", content = { { type = "tool_use", id = "c", name = "f", input = {} },
          { type = "tool_use", id = "d", name = "f", input = {} } } },
        { role = "user", content = { { type = "tool_result", tool_use_id = "d", content = "D" } } },
      }, (context({ { role = "user", content = "q" },
        { role = "assistant", tool_calls = { call("c"), call("d"), call("c") } },
        { role = "tool", tool_call_id = "d", content = "D" } })))
    end)

    it("holds parts of as many levels as may be stored", function()
      local deep = { type = "x" }
      for _ = 1, 31 do deep = { type = "x", list = { deep } } end
      local turns = context({ { role = "user", content = "q" },
        { role = "assistant", tool_calls = { call("c", ('{"a":'):rep(64) .. "1" .. ("}"):rep(64)) } },
        { role = "tool", tool_call_id = "c", content = { deep } } })
      check.same_json(deep, turns[3].content[1].content[1])
    end)

    it("is what the API takes, of random histories", function()
      local _, _, store = fresh()
      for round = 1, 40 do
        local source = random.new(1000 + round)
        local chat = assert(store:user("alice"):conversation("r" .. round))
        local stored = assert(chat:append_many(cases.messages(source, source:int(1, 30), round % 3 == 0)))
        if source:chance(30) then assert(chat:redact(source:int(1, chat.last_seq))) end
        local summary
        if source:chance(25) then
          summary = { through = source:int(1, chat.last_seq), content = "sum", token_count = 2 }
          cases.summarize(chat, summary)
        end
        local history = cases.history(chat, stored)
        for _ = 1, 12 do
          local options = cases.options(source, history)
          options.format = "anthropic"
          local what = "round " .. round .. ", " .. cases.describe(options)
          local expected, account, made_of = model.context(history, summary, options)
          local is_empty = expected and made_of.is_full and #anthropic.context(made_of, cases.arguments) == 0
          if not expected or is_empty then
            check.fails("too_large", nil, chat:context(options))
          else
            local turns, actual = assert(chat:context(options))
            local json, again = assert(chat:context_json(options))
            local dropped = account.dropped + #made_of.window
            local included
            expected, account, included = anthropic.context(made_of, cases.arguments)
            account.dropped = dropped - included
            account.truncated = account.dropped > 0
            anthropic.validate(turns)
            check.same_json(expected, turns, what)
            check.same_json(account, actual, what .. ", second result")
            check.same_json(account, again, what .. ", second result of context_json")
            check.same_json(turns, decode(json), what .. ", as JSON")
          end
        end
      end
    end)
  end)
end
