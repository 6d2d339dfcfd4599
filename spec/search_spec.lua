-- user:search: what it finds, in which order, and what it never shows.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local real_data = require "spec.support.real_data"
local random = require "spec.support.random"
local searches = require "spec.support.searches"

local NO_ID = "00000000-0000-7000-8000-000000000000"
local found, found_set, filler, ENOUGH = searches.found, searches.found_set, searches.filler, searches.ENOUGH

for _, backend in ipairs(backends) do
  describe("search " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      return alice, assert(alice:conversation("a", { title = "Fruit" })), store, database
    end

    -- Each of these is seen by a search that reads what is not indexed, and by one that reads the index.
    local function both_ways(name, fn)
      it(name, function()
        local alice, chat, store, database = fresh()
        fn(alice, chat, function() end, store, database)
      end)
      it(name .. ", from the index", function()
        local alice, chat, store, database = fresh()
        local filled = false
        fn(alice, chat, function()
          if filled then return end
          filled = true
          assert(assert(alice:conversation("filler")):append_many(filler(ENOUGH)))
          assert.same({}, found(alice, "nosuchword"))
          if backend.shared then assert.is_true(database:count("search_segments") > 0) end
        end, store, database)
      end)
    end

    both_ways("finds messages with all words, whatever case and accents", function(alice, chat, index)
      assert(chat:append("user", "Café au lait, s'il vous plaît"))
      assert(chat:append("assistant", "STRASSE und Straße"))
      assert(chat:append("user", "ＡＢＣ full width"))
      assert(chat:append("user", "İstanbul, Łódź, smørrebrød"))
      index()
      assert.same({ "Café au lait, s'il vous plaît" }, found(alice, "cafe LAIT"))
      assert.same({ "Café au lait, s'il vous plaît" }, found(alice, "plaît"))
      assert.same({}, found(alice, "cafe tea"))
      assert.same({ "STRASSE und Straße" }, found(alice, "straße"))
      assert.same({ "ＡＢＣ full width" }, found(alice, "abc"))
      for _, word in ipairs({ "istanbul", "lodz", "Lodz", "smorrebrod", "SMØRREBRØD" }) do
        assert.same({ "İstanbul, Łódź, smørrebrød" }, found(alice, word))
      end
    end)

    both_ways("finds whole words, not pieces of words", function(alice, chat, index)
      assert(chat:append("user", "the printer prints"))
      index()
      assert.same({ "the printer prints" }, found(alice, "printer"))
      assert.same({}, found(alice, "print"))
      assert.same({}, found(alice, "rinter"))
    end)

    both_ways("finds phrases, and leaves out what is without", function(alice, chat, index)
      assert(chat:append("user", "the red apple is here"))
      assert(chat:append("user", "the apple is red"))
      assert(chat:append("user", "red, apple"))
      index()
      assert.same({ "red, apple", "the apple is red", "the red apple is here" },
        found_set(alice, "red apple"))
      assert.same({ "red, apple", "the red apple is here" }, found_set(alice, '"red apple"'))
      assert.same({ "red, apple", "the red apple is here" }, found_set(alice, "“red apple”"))
      assert.same({ "red, apple" }, found(alice, "apple -is"))
      assert.same({ "the apple is red" }, found(alice, 'apple -"red apple"'))
      assert.same({}, found(alice, "-apple"))
      assert.same({}, found(alice, "-apple -red"))
    end)

    both_ways("finds words in unspaced Chinese, Japanese and Korean", function(alice, chat, index)
      assert(chat:append("user", "我想学习数据库，你好世界"))
      assert(chat:append("user", "東京へ行きたいです。データ"))
      assert(chat:append("user", "학교에서 공부했다"))
      assert(chat:append("user", "使用Python编程"))
      index()
      for query, content in pairs({
        ["数据"] = "我想学习数据库，你好世界", ["数据库"] = "我想学习数据库，你好世界", ["你好世界"] = "我想学习数据库，你好世界",
        ["库"] = "我想学习数据库，你好世界", ["東京"] = "東京へ行きたいです。データ", ["行き"] = "東京へ行きたいです。データ",
        ["ﾃﾞｰﾀ"] = "東京へ行きたいです。データ", ["학교"] = "학교에서 공부했다", ["공부"] = "학교에서 공부했다",
        ["python"] = "使用Python编程", ["编程"] = "使用Python编程",
      }) do
        assert.same({ content }, found(alice, query), query)
      end
      for _, query in ipairs({ "据数", "库你", "テータ", "하교", "世你" }) do
        assert.same({}, found(alice, query), query)
      end
    end)

    both_ways("looks into the text of parts, not into titles, calls and files", function(alice, chat, index)
      assert(chat:append("user", { { type = "text", text = "zebra one" },
        { type = "image_url", image_url = { url = "https://example.org/giraffe" } },
        { type = "text", text = "okapi two" } }))
      assert(chat:append({ role = "assistant", tool_calls = { { id = "c1", type = "function",
        ["function"] = { name = "hippo", arguments = '{"rhino":1}' } } } }))
      assert(chat:append("tool", "the lion sleeps", { tool_call_id = "c1", name = "gnu" }))
      assert(chat:append({ role = "user", attachments = { { name = "walrus.png" } } }))
      index()
      for _, query in ipairs({ "zebra", "okapi", "zebra okapi" }) do
        assert.equal(1, #assert(alice:search(query)), query)
      end
      assert.equal(1, #assert(alice:search("lion")))
      for _, query in ipairs({ "fruit", "hippo", "rhino", "gnu", "walrus", "giraffe", "text" }) do
        assert.same({}, assert(alice:search(query)), query)
      end
    end)

    both_ways("gives whole hits", function(alice, chat, index)
      local stored = assert(chat:append("user", "an <apple> & \"more\"\n  apples",
        { metadata = { a = 1 }, name = "ann" }))
      index()
      local hits, cursor = assert(alice:search("APPLE"))
      assert.equal(1, #hits)
      assert.is_nil(cursor)
      local hit = hits[1]
      assert.equal(chat.id, hit.conversation_id)
      assert.equal("Fruit", hit.title)
      check.same_json(stored, hit.message)
      assert.equal("an &lt;<b>apple</b>&gt; &amp; &quot;more&quot; apples", hit.snippet)
      assert.is_true(math.type(hit.score) == "float" and hit.score > 0)
      local names = {}
      for name in pairs(hit) do names[#names + 1] = name end
      table.sort(names)
      assert.equal("conversation_id message score snippet title", table.concat(names, " "))
    end)

    both_ways("puts what is more about the words first, and of equals the newer", function(alice, chat, index)
      local day = 24 * 3600 * 1000
      local now = os.time() * 1000
      local long = ("and so on "):rep(60)
      assert(chat:append("user", "once a kiwi " .. long, { created_at = now }))
      assert(chat:append("user", "old kiwi", { created_at = now - 400 * day }))
      assert(chat:append("user", "new kiwi", { created_at = now - day }))
      assert(chat:append("user", "kiwi kiwi kiwi", { created_at = now - day }))
      index()
      local order = found(alice, "kiwi")
      assert.equal("kiwi kiwi kiwi", order[1])
      assert.equal("new kiwi", order[2])
      assert.equal(4, #order)
      local last
      for _, hit in ipairs(assert(alice:search("kiwi"))) do
        assert.is_true(last == nil or hit.score <= last)
        last = hit.score
      end
    end)

    both_ways("filters by role, time and conversation", function(alice, chat, index)
      local other = assert(alice:conversation("b"))
      assert(chat:append("user", "plum 1", { created_at = 1000 }))
      assert(chat:append("assistant", "plum 2", { created_at = 2000 }))
      assert(other:append("user", "plum 3", { created_at = 3000 }))
      index()
      assert.same({ "plum 1", "plum 2", "plum 3" }, found_set(alice, "plum"))
      assert.same({ "plum 2" }, found(alice, "plum", { role = "assistant" }))
      assert.same({ "plum 1", "plum 2", "plum 3" },
        found_set(alice, "plum", { role = { "user", "assistant" } }))
      assert.same({ "plum 2", "plum 3" }, found_set(alice, "plum", { since = 2000 }))
      assert.same({ "plum 1" }, found(alice, "plum", { before = 2000 }))
      assert.same({ "plum 2" }, found(alice, "plum", { since = 2000, before = 3000 }))
      assert.same({ "plum 3" }, found(alice, "plum", { conversation_id = other.id }))
      assert.same({}, found(alice, "plum", { conversation_id = other.id, role = "tool" }))
      check.fails("not_found", nil, alice:search("plum", { conversation_id = NO_ID }))
    end)

    both_ways("never shows another user's messages", function(alice, chat, index, store)
      local bob = store:user("bob")
      local his = assert(bob:conversation("b"))
      assert(his:append("user", "secret fig"))
      assert(chat:append("user", "my fig"))
      assert(his:append_many(filler(ENOUGH)))
      index()
      assert.same({ "my fig" }, found(alice, "fig"))
      assert.same({ "secret fig" }, found(bob, "fig"))
      assert.same({ "my fig" }, found(alice, "fig"))
      local _, message = check.fails("not_found", nil, alice:search("fig", { conversation_id = his.id }))
      local _, other = check.fails("not_found", nil, alice:search("fig", { conversation_id = NO_ID }))
      assert.equal(other, (message:gsub(his.id:gsub("%-", "%%-"), NO_ID)))
    end)

    both_ways("forgets what is redacted, deleted and purged", function(alice, chat, index, store, database)
      local other = assert(alice:conversation("b"))
      assert(chat:append("user", "lime 1"))
      assert(chat:append("user", "lime 2"))
      assert(other:append("user", "lime 3"))
      index()
      assert.same({ "lime 1", "lime 2", "lime 3" }, found_set(alice, "lime"))
      assert(chat:redact(1))
      assert.same({ "lime 2", "lime 3" }, found_set(alice, "lime"))
      assert(other:delete())
      assert.same({ "lime 2" }, found(alice, "lime"))
      check.fails("not_found", nil, alice:search("lime", { conversation_id = other.id }))
      assert(other:restore())
      assert.same({ "lime 2", "lime 3" }, found_set(alice, "lime"))
      assert(other:purge())
      assert.same({ "lime 2" }, found(alice, "lime"))
      assert(chat:purge())
      assert.same({}, found(alice, "lime"))
      assert.same({}, found(store:user("bob"), "lime"))
      if not backend.shared then return end
      local runs = database:table("search_runs")
      assert.equal("0\n", database:sql(
        ("SELECT count(*) FROM %s WHERE conversation_id IN ('%s', '%s');"):format(runs, chat.id, other.id)))
    end)

    it("finds two-character words of real Chinese conversations, and nothing else", function()
      if not real_data.is_there() then
        pending("there is no " .. real_data.folder())
        return
      end
      local alice = fresh()
      local contents = {}
      real_data.each(real_data.folder(), function(name, key, _, messages)
        if not name:find("zh", 1, true) then return end
        local chat = assert(alice:conversation(key))
        assert(chat:append_many(messages))
        for seq, message in ipairs(messages) do
          if message.content then
            contents[#contents + 1] = { key = chat.id .. "/" .. seq, text = message.content }
          end
        end
      end)
      local source = random.new(1)
      local words = {}
      while #words < 200 do
        local text = source:pick(contents).text
        local n = utf8.len(text)
        if n >= 2 then
          local at = utf8.offset(text, source:int(1, n - 1))
          local word = text:sub(at, utf8.offset(text, 3, at) - 1)
          local han = true
          for _, code in utf8.codes(word) do han = han and code >= 0x4E00 and code <= 0x9FFF end
          if han then words[#words + 1] = word end
        end
      end
      for _, word in ipairs(words) do
        local expected = {}
        for _, content in ipairs(contents) do
          if content.text:find(word, 1, true) then expected[#expected + 1] = content.key end
        end
        table.sort(expected)
        assert.same(expected, searches.places(alice, word), word)
      end
    end)

    it("comes in pages that together are the whole, whatever is added meanwhile", function()
      local alice, chat = fresh()
      local batch = {}
      for i = 1, 137 do
        batch[i] = { role = "user", content = ("kiwi "):rep(i % 7 + 1) .. i, created_at = 1000 + i % 5 }
      end
      assert(chat:append_many(batch))
      local other = assert(alice:create())
      assert(other:append("user", "kiwi gone"))
      assert(other:delete())
      local whole = found(alice, "kiwi", { limit = 1000 })
      assert.equal(137, #whole)
      for _, size in ipairs({ 1, 2, 20, 136, 137, 1000 }) do
        local list, cursor = {}, nil
        repeat
          local hits
          hits, cursor = alice:search("kiwi", { limit = size, cursor = cursor })
          assert.is_true(#assert(hits, cursor) <= size)
          for _, hit in ipairs(hits) do
            if hit.message.seq <= 137 then list[#list + 1] = hit.message.content end
          end
          if size == 20 then assert(chat:append("user", "kiwi later")) end
        until not cursor
        assert.same(whole, list)
      end
    end)

    it("refuses cursors that are not its own, and values out of range", function()
      local alice, chat, store = fresh()
      assert(chat:append_many({ { role = "user", content = "fig 1" }, { role = "user", content = "fig 2" } }))
      local _, cursor = assert(alice:search("fig", { limit = 1 }))
      assert.equal("string", type(cursor))
      assert.equal(1, #assert(alice:search("fig", { limit = 5, cursor = cursor })))
      local bob = store:user("bob")
      check.fails("invalid", "cursor", bob:search("fig", { cursor = cursor }))
      check.fails("invalid", "cursor", alice:search("figs", { cursor = cursor }))
      check.fails("invalid", "cursor", alice:search("fig", { cursor = cursor, role = "user" }))
      check.fails("invalid", "cursor", alice:search("fig", { cursor = cursor, since = 5 }))
      check.fails("invalid", "cursor", alice:list({ cursor = cursor }))
      check.fails("invalid", "cursor", alice:messages({ cursor = cursor }))
      for _, forged in ipairs({
        "", "x", cursor .. "A", cursor:sub(1, -2), ("A"):rep(500), cursor:reverse(),
      }) do
        check.fails("invalid", "cursor", alice:search("fig", { cursor = forged }))
      end
      for name, values in pairs({
        limit = { 0, -1, 1001, math.mininteger }, since = { -1, 1 << 60 }, before = { -1 },
        role = { "", "User" }, conversation_id = { "", "x" },
      }) do
        for _, value in ipairs(values) do
          check.fails("invalid", name, alice:search("fig", { [name] = value }))
        end
      end
      for name, values in pairs({
        limit = { "5", 1.5 }, since = { "1" }, before = { {} }, role = { 1 }, cursor = { 1 },
        conversation_id = { 1 }, nonsense = { 1 },
      }) do
        for _, value in ipairs(values) do
          check.argument(name, alice, "search", "fig", { [name] = value })
        end
      end
      check.argument("#1", alice, "search", 5)
      check.argument("#1", alice, "search")
      check.argument("#2", alice, "search", "fig", "x")
    end)

    both_ways("takes any text for a query", function(alice, chat, index)
      assert(chat:append("user", "say OR near x9 don't stop e.g. foo_bar user@example.com"))
      index()
      local FINDS = {
        '" OR NEAR( * ; --', "NEAR", "say:", "x9", "don't", "foo_bar", "user@example.com", '"say or near"',
        "^say", "{say}", "--say",
      }
      local FINDS_NOTHING = {
        "", " ", "\n\t", ".", "-", "--", '"', '""', "*", "()", "'; DROP TABLE messages; --", "sa*", "x",
        "bar_foo", "example.user", '"near or', "\u{1F600}", "content:say", "say AND stop", "%", "\\",
      }
      for _, query in ipairs(FINDS) do
        assert.equal(1, #assert(alice:search(query)), query)
      end
      for _, query in ipairs(FINDS_NOTHING) do
        assert.same({}, assert(alice:search(query)), query)
      end
      local many = {}
      for i = 1, 15000 do many[i] = "w" .. i end
      for _, query in ipairs({
        ("x9 "):rep(34000), ("( * \" "):rep(20000), ("a"):rep(100000), ("é-"):rep(33000),
        ("say "):rep(25000) .. "nosuch", table.concat(many, " "),
      }) do
        local hits = assert(alice:search(query))
        assert.equal(query:find("^x9") and 1 or 0, #hits)
      end
      check.fails("invalid", "text", alice:search("bad \xff byte"))
      check.fails("invalid", "text", alice:search("nul \0 byte"))
    end)

    it("replaces bad bytes of a query where the store does so", function()
      local store = backend.fresh({ text = "replace" })
      local alice = store:user("alice")
      assert(assert(alice:create()):append("user", "good \xff byte"))
      assert.equal(1, #assert(alice:search("good \xff byte")))
    end)

    it("marks matches in a snippet around them, at whole characters", function()
      local alice, chat = fresh()
      assert(chat:append("user", ("before "):rep(100) .. "the needle is here " .. ("after "):rep(100)))
      assert(chat:append("user", ("前"):rep(300) .. "针眼" .. ("后"):rep(300)))
      local snippet = assert(alice:search("needle"))[1].snippet
      assert.truthy(snippet:find("the <b>needle</b> is here", 1, true))
      assert.is_true(#snippet < 300)
      snippet = assert(alice:search("针眼"))[1].snippet
      assert.truthy(snippet:find("前<b>针眼</b>后", 1, true))
      assert.truthy(utf8.len(snippet))
      assert.is_true(utf8.len(snippet) < 300)
    end)
  end)
end

describe("search on different databases #sqlite #postgres", function()
  after_each(backends.clean)

  it("gives the same hits in the same order with the same scores", function()
    if not real_data.is_there() then
      pending("there is no " .. real_data.folder())
      return
    end
    local users = {}
    for _, backend in ipairs(backends) do
      users[#users + 1] = (backend.fresh()):user("alice")
    end
    local n = 0
    real_data.each(real_data.folder(), function(_, key, _, messages)
      n = n + 1
      if n % 4 > 0 then return end
      local id = ("00000000-0000-7000-8000-%012d"):format(n)
      for i, message in ipairs(messages) do
        message.created_at = 1700000000000 + n * 100000 + i
      end
      for _, alice in ipairs(users) do
        assert(assert(alice:create({ id = id, key = key .. n })):append_many(messages))
      end
    end)
    for _, query in ipairs({
      "the", "please help", "weather", '"thank you"', "电影", "你能", "calculate -tip", "python",
    }) do
      local first
      for _, alice in ipairs(users) do
        local list = {}
        for i, hit in ipairs(assert(alice:search(query, { limit = 200 }))) do
          list[i] = ("%s/%d %.3f %s"):format(hit.conversation_id, hit.message.seq, hit.score, hit.snippet)
        end
        assert.is_true(#list > 0, query)
        first = first or list
        assert.same(first, list, query)
      end
    end
  end)
end)
