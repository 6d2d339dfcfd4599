-- conv:summarize: what is stored, what comes back, and what is refused.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local rows = require "spec.support.rows"

for _, backend in ipairs(backends) do
  describe("a summary " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options, n)
      local store, database = backend.fresh(options)
      local chat = assert(store:user("alice"):conversation("k"))
      for i = 1, n or 3 do assert(chat:append("user", tostring(i))) end
      return chat, database, store
    end

    it("comes back as it is stored, as a plain table", function()
      local chat = fresh()
      local summary = assert(chat:summarize("They met.", { through = 2, token_count = 4,
        metadata = { model = "m", big = 12345678901234567 } }))
      check.just_now(summary.created_at)
      check.same_json({ through = 2, content = "They met.", token_count = 4, created_at = summary.created_at,
        metadata = { model = "m", big = 12345678901234567 } }, summary)
    end)

    it("stands for all messages so far, and its tokens are estimated, where nothing else is said", function()
      local chat = fresh()
      local summary = assert(chat:summarize("12345"))
      check.same_json({ through = 3, content = "12345", token_count = 2,
        created_at = summary.created_at }, summary)
      assert.equal(0, assert(chat:summarize("")).token_count)
      assert(chat:append("user", "4"))
      assert.equal(4, assert(chat:summarize("x", {})).through)
      assert.equal(1, assert(chat:summarize("x", { through = 1.0 })).through)
    end)

    it("is counted by count_tokens, which sees a system message", function()
      local seen = {}
      local chat = fresh({ count_tokens = function(message)
        seen[#seen + 1] = message
        return 77
      end }, 1)
      assert.equal(77, assert(chat:summarize("sum")).token_count)
      assert.same({ role = "system", content = "sum" }, seen[#seen])
      local n = #seen
      assert.equal(5, assert(chat:summarize("sum", { token_count = 5 })).token_count)
      assert.equal(n, #seen)
      local wrong = fresh({ count_tokens = function(message)
        return message.role == "system" and -1 or 1
      end })
      check.raises("count_tokens", wrong.summarize, wrong, "x")
    end)

    it("is another one with other tokens, though its text and its time are the same", function()
      local chat = fresh()
      for tokens = 1, 20 do
        assert(chat:summarize("sum", { token_count = tokens }))
        assert.equal(tokens, select(2, assert(chat:context())).tokens)
      end
    end)

    it("takes no seq, changes no message and no counter, and is a write", function()
      local chat = fresh()
      local history, tokens = assert(chat:history()), chat.token_count
      local summary = assert(chat:summarize("sum"))
      assert.equal(summary.created_at, chat.updated_at)
      check.same_json(history, assert(chat:history()))
      assert(chat:refresh())
      assert.equal(3, chat.last_seq)
      assert.equal(tokens, chat.token_count)
      assert.equal(summary.created_at, chat.updated_at)
      assert.equal(4, assert(chat:append("user", "4")).seq)
    end)

    it("is refused where through is outside the messages", function()
      local chat = fresh()
      for _, through in ipairs({ 0, -1, 4, math.maxinteger, math.mininteger }) do
        check.fails("invalid", "through", chat:summarize("x", { through = through }))
      end
      local empty = fresh(nil, 0)
      check.fails("invalid", "through", empty:summarize("x"))
      check.fails("invalid", "through", empty:summarize("x", { through = 1 }))
    end)

    it("keeps the rules of text: UTF-8 without NUL, so many bytes", function()
      local chat = fresh({ max_content_bytes = 100 })
      for _, text in ipairs({ "a\0b", "\255", "abc\xC3", "\xED\xA0\x80" }) do
        check.fails("invalid", "text", chat:summarize(text))
      end
      check.fails("too_large", "text", chat:summarize(("x"):rep(101)))
      assert.equal(25, assert(chat:summarize(("x"):rep(100))).token_count)
      for _, text in ipairs({ "", "\n\t\"\\", "日本語 😀", ("é"):rep(50) }) do
        assert.equal(text, assert(chat:summarize(text)).content)
      end
      local replacing = fresh({ text = "replace" })
      assert.equal("a\u{FFFD}b\u{FFFD}", assert(replacing:summarize("a\0b\255")).content)
    end)

    it("refuses bad fields", function()
      local chat = fresh({ max_content_bytes = 100 })
      for _, count in ipairs({ -1, 2147483648, math.mininteger }) do
        check.fails("invalid", "token_count", chat:summarize("x", { token_count = count }))
      end
      check.fails("invalid", "metadata", chat:summarize("x", { metadata = { a = print } }))
      check.fails("too_large", "metadata", chat:summarize("x", { metadata = { a = ("x"):rep(100) } }))
      check.argument("unknown field", chat, "summarize", "x", { title = "x" })
      check.argument("string expected", chat, "summarize")
      check.argument("string expected", chat, "summarize", 5)
      check.argument("through", chat, "summarize", "x", { through = "1" })
    end)

    it("is of one's own live conversation", function()
      local chat, _, store = fresh()
      assert(chat:delete())
      check.fails("not_found", chat.id, chat:summarize("x"))
      local his = assert(store:user("bob"):create({ id = convstore.uuid() }))
      check.fails("invalid", "through", his:summarize("x"))
    end)

    if backend.shared then
      -- What is stored, oldest first.
      local function stored(database)
        return database:sql((
          "SELECT ordinal, through, content FROM %s ORDER BY ordinal;"):format(database:table("summaries")))
      end

      it("is numbered on, and none that was refused is stored", function()
        local chat, database = fresh()
        assert(chat:summarize("one", { through = 3 }))
        check.fails("invalid", "through", chat:summarize("bad", { through = 4 }))
        assert(chat:summarize("two", { through = 1 }))
        assert(chat:summarize("three", { through = 1 }))
        assert.equal("1|3|one\n2|1|two\n3|1|three\n", stored(database))
        rows.set_updated_at(database, chat.id, 5)
        check.fails("invalid", "through", chat:summarize("bad", { through = 4 }))
        assert.equal(5, assert(chat:refresh()).updated_at)
        local summary = assert(chat:summarize("four"))
        assert.equal(summary.created_at, assert(chat:refresh()).updated_at)
      end)

      it("of an archived conversation leaves it archived", function()
        local chat, database = fresh()
        rows.archive(database, chat.id)
        assert.equal(3, assert(chat:summarize("x")).through)
        assert.equal(3, database:count("messages_archive"))
      end)

      it("is stored once for each call of many processes", function()
        local chat, database = fresh()
        local workers = {}
        for i = 1, 4 do workers[i] = database:start("summarize", { "k", 15, "w" .. i }) end
        for _, worker in ipairs(workers) do assert.equal("ready", worker:line()) end
        for _, worker in ipairs(workers) do worker:tell("go") end
        for i = 1, 15 do assert(chat:append("user", tostring(i))) end
        for _, worker in ipairs(workers) do
          local output, ok, errors = worker:finish()
          assert.is_true(ok, output .. errors)
        end
        assert.equal("60|60|60\n", database:sql(
          "SELECT count(*), max(ordinal), count(DISTINCT content) FROM " .. database:table("summaries")))
        database:assert_sound()
      end)
    end
  end)
end
