-- Text: byte for byte where it is UTF-8, refused or mended where it is not.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"

local GOOD = {
  "hello", "", " leading and trailing ", "tab\tCR\rLF\nCRLF\r\n", "\u{FEFF}byte order mark",
  "e\u{301} is not \u{e9}", "שלום \u{202E}עולם", "مرحبا", "हिन्दी",
  "你好，世界", "ひらがな カタカナ", "한국어", "ไทย",
  "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪", "\u{1}\u{2}\u{1F}\u{7F}\u{80}\u{9F}", "\u{FFFD}",
  "\u{FFFE}\u{FFFF}\u{1FFFE}", "\u{10FFFF}", "\u{E000}\u{F8FF}", "\u{D7FF}\u{E000}",
  "\u{7FF}\u{800}\u{FFFF}\u{10000}", "'; DROP TABLE convstore_messages; --",
  "\"quoted\" \\ \\0 \\u0000 %s %d ?1 :name @x $y", "Z̴͎̈a̵l̷g̴o̶", "ﷺ", "İıſẞß",
}

local BAD = {
  "\0", "a\0b", "\x80", "\xBF", "a\xC3", "\xC3(", "\xC0\x80", "\xC1\xBF", "\xE2\x82", "\xE2\x82A",
  "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xED\xA0\xBD\xED\xB8\x80", "\xF0\x9F\x98",
  "\xF0\x9F\x98x", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
  "\xF8\x88\x80\x80\x80", "\xFE", "\xFF", "ok \xE2\x82\xAC\xE2\x82", "\xFF\xFE\x00\x00", "\xC3\xC3\xA9",
}

-- What text = "replace" makes of a string: each byte that belongs to no character becomes U+FFFD. In plain Lua.
local function replaced(text)
  local out, at = {}, 1
  while at <= #text do
    local size
    for n = 1, 4 do
      local piece = text:sub(at, at + n - 1)
      if #piece == n and piece ~= "\0" and utf8.len(piece) == 1 then
        size = n
        break
      end
    end
    out[#out + 1] = size and text:sub(at, at + size - 1) or "\u{FFFD}"
    at = at + (size or 1)
  end
  return table.concat(out)
end

for _, backend in ipairs(backends) do
  describe("text " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice, store, database
    end

    it("comes back byte for byte wherever it is", function()
      local chat, alice = fresh()
      for _, text in ipairs(GOOD) do
        local message = assert(chat:append({
          role = "tool", content = text, name = text, tool_call_id = "c" .. text,
          metadata = { [text] = text },
          tool_calls = { { id = "c" .. text, x = text } }, attachments = { { url = text, name = text } } }))
        local parts = assert(chat:append("user", { { type = "text", text = text } }))
        for _, each in ipairs({ message, assert(chat:message(message.seq)) }) do
          assert.equal(text, each.content)
          assert.equal(text, each.name)
          assert.equal("c" .. text, each.tool_call_id)
          assert.equal(text, each.metadata[text])
          assert.equal("c" .. text, each.tool_calls[1].id)
          assert.equal(text, each.attachments[1].url)
        end
        assert.equal(text, assert(chat:message(parts.seq)).content[1].text)
        local titled = assert(alice:create({ title = text, key = "k" .. text }))
        assert.equal(text, assert(alice:get(titled.id)).title)
        assert.equal(titled.id, assert(alice:conversation("k" .. text)).id)
      end
    end)

    it("comes back byte for byte, whatever characters it is made of", function()
      local chat = fresh()
      for seed = 1, 30 do
        local text = random.new(seed):text(300)
        assert(assert(chat:message(assert(chat:append("user", text)).seq)).content == text, "seed " .. seed)
      end
    end)

    it("that is no UTF-8, or has a NUL byte, is refused in every field, naming it", function()
      local chat, alice = fresh()
      assert(chat:append("user", "x"))
      for _, bad in ipairs(BAD) do
        check.fails("invalid", "content", chat:append("user", bad))
        check.fails("invalid", "content", chat:append("user",
          ("good "):rep(1000) .. bad .. ("good "):rep(1000)))
        check.fails("invalid", "content", chat:append("user", { { type = "text", text = bad } }))
        check.fails("invalid", "content", chat:append("user", { { type = bad } }))
        check.fails("invalid", "name", chat:append("user", "x", { name = bad }))
        check.fails("invalid", "tool_call_id", chat:append("tool", "x", { tool_call_id = bad }))
        check.fails("invalid", "tool_calls", chat:append("assistant", nil, { tool_calls = { { id = bad } } }))
        check.fails("invalid", "attachments", chat:append("user", "x", { attachments = { { url = bad } } }))
        check.fails("invalid", "metadata", chat:append("user", "x", { metadata = { a = bad } }))
        check.fails("invalid", "metadata", chat:append("user", "x", { metadata = { [bad] = 1 } }))
        check.fails("invalid", "role", chat:append(bad, "x"))
        check.fails("invalid", "id", chat:append("user", "x", { id = bad }))
        check.fails("invalid", "metadata", chat:annotate(1, { a = bad }))
        check.fails("invalid", "title", chat:update({ title = bad }))
        check.fails("invalid", "key", chat:update({ key = bad }))
        check.fails("invalid", "metadata", chat:update({ metadata = { a = bad } }))
        check.fails("invalid", "title", alice:create({ title = bad }))
        check.fails("invalid", "key", alice:create({ key = bad }))
        check.fails("invalid", "key", alice:conversation(bad))
        check.fails("invalid", "id", alice:get(bad))
        check.fails("invalid", "id", chat:message(bad))
      end
      assert.equal(1, #assert(chat:history()))
      assert.is_nil(assert(chat:refresh()).title)
    end)

    it("that is refused is shown where it is bad", function()
      local chat = fresh()
      check.fails("invalid", "byte 4 ", chat:append("user", "abc\255def"))
      check.fails("invalid", "byte 1 ", chat:append("user", "\0"))
      check.fails("invalid", "byte 100003 ", chat:append("user", ("x"):rep(100000) .. "é\xC3"))
    end)

    it("is mended where the store was told to", function()
      local chat, alice = fresh({ text = "replace" })
      assert.equal("\u{FFFD}\u{FFFD}", replaced("\xE2\x82"))
      for _, bad in ipairs(BAD) do
        local good = replaced(bad)
        local message = assert(chat:append({
          role = "user", content = bad, name = bad, metadata = { a = bad, b = { bad } },
          attachments = { { url = bad } } }))
        for _, each in ipairs({ message, assert(chat:message(message.seq)) }) do
          assert.equal(good, each.content)
          assert.equal(good, each.name)
          assert.equal(good, each.metadata.a)
          assert.equal(good, each.metadata.b[1])
          assert.equal(good, each.attachments[1].url)
        end
        local parts = assert(chat:append("user", { { type = "text", text = bad } }))
        assert.equal(good, assert(chat:message(parts.seq)).content[1].text)
        local keyed = assert(chat:append("user", "x", { metadata = { [bad] = 1 } }))
        check.same_json({ [good] = 1 }, assert(chat:message(keyed.seq)).metadata)
        assert.equal(good, assert(alice:create({ title = bad })).title)
        assert(chat:update({ title = bad }))
        assert.equal(good, assert(chat:refresh()).title)
        check.same_json({ a = good }, assert(chat:annotate(keyed.seq, { [good] = convstore.null,
          a = bad })).metadata)
      end
    end)

    it("is mended by the rule, whatever bytes it is made of", function()
      local chat = fresh({ text = "replace" })
      for seed = 1, 150 do
        local source = random.new(seed)
        local bytes = source:bytes(source:int(1, 200)) .. source:text(5) .. source:bytes(source:int(0, 4))
        assert(replaced(bytes) == assert(chat:append("user", bytes)).content, "seed " .. seed)
        assert(replaced(bytes) == assert(chat:message(seed)).content, "seed " .. seed)
      end
    end)

    it("that is good is left alone where others are mended", function()
      local chat = fresh({ text = "replace" })
      for _, text in ipairs(GOOD) do
        assert.equal(text, assert(chat:append("user", text)).content)
      end
    end)

    it("is not mended where it names something", function()
      local chat, alice, store = fresh({ text = "replace" })
      for _, bad in ipairs(BAD) do
        check.argument("#1", store, "user", bad)
        check.fails("invalid", "key", alice:conversation(bad))
        check.fails("invalid", "key", alice:create({ key = bad }))
        check.fails("invalid", "key", chat:update({ key = bad }))
        check.fails("invalid", "id", alice:create({ id = bad }))
        check.fails("invalid", "id", alice:get(bad))
        check.fails("invalid", "id", chat:append("user", "x", { id = bad }))
        check.fails("invalid", "id", chat:message(bad))
        check.fails("invalid", "role", chat:append(bad, "x"))
        check.fails("invalid", "role", chat:history({ role = bad }))
        check.fails("invalid", "status", chat:update({ status = bad }))
      end
      assert.same({}, assert(chat:history()))
    end)

    it("that was mended is the same when it is sent again", function()
      local chat = fresh({ text = "replace" })
      local id = convstore.uuid()
      local first = assert(chat:append("user", "a\255b", { id = id }))
      check.same_json(first, assert(chat:append("user", "a\255b", { id = id })))
      check.same_json(first, assert(chat:append("user", "a\u{FFFD}b", { id = id })))
      local parts = assert(chat:append("user", { { type = "text", text = "\255" } },
        { id = convstore.uuid() }))
      check.same_json(parts, assert(chat:append("user", { { type = "text", text = "\255" } },
        { id = parts.id })))
    end)

    it("is measured as it would be stored", function()
      local chat = fresh({ text = "replace", max_content_bytes = 10 })
      assert.equal(9, #assert(chat:append("user", "\255\255\255")).content)
      check.fails("too_large", "content", chat:append("user", "\255\255\255\255"))
      check.fails("invalid", "title", chat:update({ title = ("\255"):rep(1000) }))
    end)
  end)
end
