-- user:messages: over all of a user's conversations, against a model in plain Lua, while others write.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local pages = require "spec.support.pages"
local random = require "spec.support.random"
local rows = require "spec.support.rows"

local ROLES = { "user", "assistant", "system", "developer", "tool" }

local function names(list)
  local all = {}
  for i, message in ipairs(list) do
    all[i] = message.conversation_id .. " " .. message.id
  end
  return table.concat(all, "\n")
end

for _, backend in ipairs(backends) do
  describe("messages of a user " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return store:user("alice"), database, store
    end

    local function batch(source, n)
      local list = {}
      for i = 1, n do
        local role = source:pick(ROLES)
        list[i] = { role = role, content = tostring(i), tool_call_id = role == "tool" and "c" or nil,
          created_at = source:int(0, 6) * 1000 }
      end
      return list
    end

    -- Some conversations with messages at few different times, a fork among them: its messages have the ids and times
    -- of another's. All that is live, in the order of the contract.
    local function fill(alice, database, source)
      local chats, all = {}, {}
      for i = 1, 5 do
        chats[i] = assert(alice:create())
        assert(chats[i]:append_many(batch(source, source:int(0, 25))))
      end
      assert(chats[1]:append("user", "at least one", { created_at = 3000 }))
      chats[6] = assert(chats[1]:fork())
      chats[7] = assert(chats[6]:fork({ at = 1 }))
      for i, chat in ipairs(chats) do
        if i ~= 2 then
          for _, message in ipairs(assert(chat:history())) do all[#all + 1] = message end
        end
        if backend.shared and i % 3 == 0 then rows.archive(database, chat.id) end
      end
      assert(chats[2]:delete())
      table.sort(all, function(a, b)
        if a.created_at ~= b.created_at then return a.created_at > b.created_at end
        if a.id ~= b.id then return a.id > b.id end
        return a.conversation_id > b.conversation_id
      end)
      return all, chats
    end

    local function expected(all, options)
      local wanted = options.role
      if type(wanted) == "string" then wanted = { wanted } end
      local list = {}
      for _, message in ipairs(all) do
        local fits = not wanted
        for _, role in ipairs(wanted or {}) do fits = fits or role == message.role end
        if fits and message.created_at >= (options.since or 0)
          and message.created_at < (options.before or math.huge) then
          list[#list + 1] = message
        end
      end
      return list
    end

    it("are an empty array where there are none", function()
      local alice = fresh()
      assert(alice:create())
      local list, cursor = assert(alice:messages())
      assert.same({}, list)
      assert.is_nil(cursor)
    end)

    it("are whole, as history shows them, newest first", function()
      local alice = fresh()
      local a, b = assert(alice:create()), assert(alice:create())
      local one = assert(a:append({ role = "user", content = "1", created_at = 1, metadata = { a = 1 } }))
      local two = assert(b:append({ role = "assistant", tool_calls = { { id = "c" } }, created_at = 2,
        name = "n" }))
      local three = assert(a:append({ role = "tool", content = { { type = "text", text = "3" } },
        tool_call_id = "c", created_at = 3, attachments = { { name = "a" } } }))
      check.same_json({ three, two, one }, assert(alice:messages()))
      local redacted = assert(a:redact(1))
      check.same_json({ three, two, redacted }, assert(alice:messages()))
    end)

    it("in pages of any size are the same as the model's", function()
      local source = random.new(17)
      local alice, database = fresh()
      local all = fill(alice, database, source)
      assert.is_true(#all > 20)
      for _, limit in ipairs({ 1, 2, 13, #all - 1, #all, 1000, function() return source:int(1, 9) end }) do
        assert.equal(names(all), names(pages.all(alice, "messages", { limit = limit })))
      end
      for _ = 1, 25 do
        local options = { limit = source:int(1, 12) }
        if source:chance(50) then options.since = source:int(0, 7) * 1000 end
        if source:chance(50) then options.before = source:int(0, 7) * 1000 end
        if source:chance(30) then options.role = source:pick(ROLES) end
        if source:chance(30) then options.role = { source:pick(ROLES), source:pick(ROLES) } end
        assert.equal(names(expected(all, options)), names(pages.all(alice, "messages", options)))
      end
    end)

    it("are 50 on a page where nothing else is said", function()
      local alice = fresh()
      local list = {}
      for i = 1, 51 do list[i] = { role = "user", content = "x" } end
      assert(assert(alice:create()):append_many(list))
      local page, cursor = assert(alice:messages())
      assert.equal(50, #page)
      page, cursor = assert(alice:messages({ cursor = cursor }))
      assert.equal(1, #page)
      assert.is_nil(cursor)
    end)

    it("take since as inclusive and before as exclusive", function()
      local alice = fresh()
      local chat = assert(alice:create())
      for i = 1, 4 do assert(chat:append("user", tostring(i), { created_at = i * 10 })) end
      local function contents(options)
        local list = {}
        for i, message in ipairs(assert(alice:messages(options))) do list[i] = message.content end
        return table.concat(list, " ")
      end
      assert.equal("4 3 2", contents({ since = 20 }))
      assert.equal("2 1", contents({ before = 30 }))
      assert.equal("2", contents({ since = 20, before = 30 }))
      assert.equal("", contents({ since = 30, before = 30 }))
      assert.equal("", contents({ since = 40, before = 10 }))
      assert.equal("4 3 2 1", contents({ since = 0, before = 253402300799999 }))
    end)

    it("come each once while others are written and removed between pages", function()
      local source = random.new(23)
      local alice, database = fresh()
      local all, chats = fill(alice, database, source)
      local gone = chats[4].id
      local list = pages.all(alice, "messages", { limit = 4 }, function(n)
        assert(chats[1]:append("user", "new", { created_at = source:int(0, 6) * 1000 }))
        if n == 2 then assert(chats[4]:purge()) end
        if n == 3 and backend.shared then rows.archive(database, chats[5].id) end
      end)
      local seen = {}
      for _, message in ipairs(list) do
        local name = names({ message })
        assert.is_nil(seen[name])
        seen[name] = true
      end
      for _, message in ipairs(all) do
        assert.is_true(seen[names({ message })] or message.conversation_id == gone)
      end
    end)

    it("are one's own, and not those of a deleted conversation", function()
      local alice, _, store = fresh()
      local hers = assert(alice:conversation("k"))
      local his = assert(store:user("bob"):conversation("k"))
      assert(hers:append("user", "secret of alice"))
      assert(his:append("user", "secret of bob"))
      local list = assert(alice:messages())
      assert.equal(1, #list)
      assert.equal("secret of alice", list[1].content)
      assert.same({}, assert(store:user("carol"):messages()))
      assert(hers:delete())
      assert.same({}, assert(alice:messages()))
      assert(hers:restore())
      assert.equal(1, #assert(alice:messages()))
    end)

    it("refuse a cursor that is forged, another user's, another call's or of other options", function()
      local alice, _, store = fresh()
      for _, user in ipairs({ alice, store:user("bob") }) do
        local chat = assert(user:create())
        for i = 1, 4 do assert(chat:append("user", tostring(i))) end
      end
      local _, cursor = assert(alice:messages({ limit = 1 }))
      for _, forged in ipairs(pages.forged(cursor)) do
        check.fails("invalid", "cursor", alice:messages({ cursor = forged }))
      end
      check.fails("invalid", "cursor", store:user("bob"):messages({ cursor = cursor }))
      check.fails("invalid", "cursor", alice:list({ cursor = cursor }))
      for _, options in ipairs({ { role = "user" }, { since = 1 }, { before = 253402300799999 } }) do
        options.cursor = cursor
        check.fails("invalid", "cursor", alice:messages(options))
      end
      assert.equal(3, #assert(alice:messages({ cursor = cursor, limit = 1000 })))
    end)

    it("refuse a limit, time or role out of its range", function()
      local alice = fresh()
      for _, limit in ipairs({ 0, -1, 1001, math.maxinteger, math.mininteger }) do
        check.fails("invalid", "limit", alice:messages({ limit = limit }))
      end
      for _, time in ipairs({ -1, 253402300800000, math.maxinteger, math.mininteger }) do
        check.fails("invalid", "since", alice:messages({ since = time }))
        check.fails("invalid", "before", alice:messages({ before = time }))
      end
      check.fails("invalid", "role", alice:messages({ role = "robot" }))
      check.fails("invalid", "role", alice:messages({ role = {} }))
      check.argument("unknown option", alice, "messages", { order = "desc" })
      check.argument("since", alice, "messages", { since = convstore.null })
    end)
  end)
end
