-- user:list and user:conversations against a model in plain Lua, while others write, and what they refuse.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local pages = require "spec.support.pages"
local random = require "spec.support.random"
local rows = require "spec.support.rows"

local STATUSES = { "active", "archived", "closed" }

local function ids(list)
  local all = {}
  for i, item in ipairs(list) do all[i] = item.id end
  return table.concat(all, "\n")
end

for _, backend in ipairs(backends) do
  describe("list " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return store:user("alice"), database, store
    end

    -- n conversations at few different times, some of them deleted; facts about them as their handles show them.
    local function fill(alice, database, source, n)
      local facts = {}
      for i = 1, n do
        local chat = assert(alice:create({
          created_at = source:int(1, 4) * 1000, status = source:pick(STATUSES), title = tostring(i),
        }))
        if source:chance(25) then assert(chat:delete()) end
        if backend.shared then rows.set_updated_at(database, chat.id, source:int(1, 5) * 1000) end
        local now = assert(alice:get(chat.id, { deleted = true }))
        facts[i] = {
          id = now.id, status = now.status, deleted = now.deleted_at ~= nil,
          updated = now.updated_at, created = now.created_at,
        }
      end
      return facts
    end

    -- What the contract says of a list.
    local function expected(facts, options)
      local order, deleted, list = options.order or "updated", options.deleted or false, {}
      for _, fact in ipairs(facts) do
        if (deleted == "any" or deleted == fact.deleted)
          and (options.status == nil or options.status == fact.status) then
          list[#list + 1] = fact
        end
      end
      table.sort(list, function(a, b)
        if a[order] ~= b[order] then return a[order] > b[order] end
        return a.id > b.id
      end)
      return list
    end

    it("of nobody's conversations is an empty array", function()
      local alice = fresh()
      local list, cursor = assert(alice:list())
      assert.same({}, list)
      assert.is_nil(cursor)
      assert.is_nil(alice:conversations()())
    end)

    it("shows a conversation's fields and its last message as plain tables", function()
      local alice, database = fresh()
      local empty = assert(alice:create())
      local chat = assert(alice:conversation("k", { title = "T", metadata = { a = { 1, 2.5 }, b = {} } }))
      assert(chat:append("user", "first", { token_count = 7 }))
      local last = assert(chat:append("assistant", "last", { token_count = 4, created_at = 77 }))
      if backend.shared then
        rows.set_updated_at(database, empty.id, 1000)
        assert(chat:refresh())
      end
      local list, cursor = assert(alice:list())
      assert.is_nil(cursor)
      local listed = list[1].id == chat.id and list[1] or list[2]
      check.same_json({
        id = chat.id, key = "k", user_id = "alice", title = "T", status = "active",
        metadata = { a = { 1, 2.5 }, b = {} }, created_at = chat.created_at, updated_at = chat.updated_at,
        message_count = 2, token_count = 11, last_seq = 2,
        last_message = { seq = 2, role = "assistant", preview = "last", created_at = last.created_at },
      }, listed)
      local other = listed == list[1] and list[2] or list[1]
      check.same_json({
        id = empty.id, user_id = "alice", status = "active", created_at = empty.created_at,
        updated_at = other.updated_at, message_count = 0, token_count = 0, last_seq = 0,
      }, other)
      local fork = assert(chat:fork({ at = 1 }))
      assert(fork:delete())
      local gone = assert(alice:list({ deleted = true }))
      assert.equal(1, #gone)
      assert.same({ id = chat.id, seq = 1 }, gone[1].forked_from)
      assert.equal(fork.deleted_at, gone[1].deleted_at)
      assert.equal("first", gone[1].last_message.preview)
    end)

    it("previews the text of content or of its parts, 200 bytes at most, cut at a character", function()
      local alice, database = fresh()
      local function preview(message)
        local chat = assert(alice:create())
        message.role = message.role or "user"
        assert(chat:append(message))
        for _ = 1, backend.shared and 2 or 1 do
          for _, listed in ipairs(assert(alice:list({ limit = 1000 }))) do
            if listed.id == chat.id then message.seen = listed.last_message end
          end
          assert.equal(message.before or message.seen.preview, message.seen.preview)
          message.before = message.seen.preview
          if backend.shared then rows.archive(database, chat.id) end
        end
        return message.seen.preview
      end
      assert.equal("hello", preview({ content = "hello" }))
      assert.equal("", preview({ content = "" }))
      assert.equal(("x"):rep(200), preview({ content = ("x"):rep(201) }))
      assert.equal(("é"):rep(100), preview({ content = ("é"):rep(150) }))
      assert.equal("x" .. ("é"):rep(99), preview({ content = "x" .. ("é"):rep(150) }))
      assert.equal(("😀"):rep(50), preview({ content = ("😀"):rep(250) }))
      assert.equal("one\ntwo", preview({ content = {
        { type = "text", text = "one" }, { type = "image_url", image_url = { url = "u" } },
        { type = "text", text = "two" },
      } }))
      assert.equal("a\n" .. ("é"):rep(99), preview({ content = {
        { type = "text", text = "a" }, { type = "text", text = ("é"):rep(300) },
      } }))
      assert.equal("line\n\"\\\t", preview({ content = { { type = "text", text = "line\n\"\\\t" } } }))
      assert.is_nil(preview({ content = { { type = "image_url", image_url = { url = "u" } } } }))
      assert.is_nil(preview({ content = { { type = "x", text = { 1 } } } }))
      assert.is_nil(preview({ content = {} }))
      assert.is_nil(preview({ role = "assistant", tool_calls = { { id = "c" } } }))
    end)

    it("shows nothing of a redacted message but that it is there", function()
      local alice = fresh()
      local chat = assert(alice:create())
      assert(chat:append("user", "secret"))
      assert(chat:redact(1))
      local last = assert(alice:list())[1].last_message
      assert.equal("user", last.role)
      assert.is_nil(last.preview)
    end)

    it("in pages of any size is the same as the model's", function()
      local source = random.new(5)
      local alice, database = fresh()
      local facts = fill(alice, database, source, 60)
      for _, order in ipairs({ "updated", "created" }) do
        for _, deleted in ipairs({ false, true, "any" }) do
          for _, limit in ipairs({ 1, 7, 59, 60, 1000, function() return source:int(1, 20) end }) do
            local status = source:chance(40) and source:pick(STATUSES) or nil
            local options = { order = order, deleted = deleted, status = status, limit = limit }
            local list = pages.all(alice, "list", options)
            assert.equal(ids(expected(facts, options)), ids(list),
              ("%s, %s, %s, %s"):format(order, deleted, limit, status))
          end
        end
      end
      assert.equal(ids(expected(facts, {})), ids(pages.all(alice, "list", { limit = 20 })))
    end)

    it("has 20 on a page where nothing else is said, and no cursor behind the last", function()
      local alice = fresh()
      for _ = 1, 21 do assert(alice:create()) end
      local list, cursor = assert(alice:list())
      assert.equal(20, #list)
      list, cursor = assert(alice:list({ cursor = cursor }))
      assert.equal(1, #list)
      assert.is_nil(cursor)
      list, cursor = assert(alice:list({ limit = 21 }))
      assert.equal(21, #list)
      assert.is_nil(cursor)
    end)

    it("gives each untouched conversation once while others come, go and change between pages", function()
      local source = random.new(9)
      local alice, database = fresh()
      local facts = fill(alice, database, source, 40)
      local untouched, touched = {}, {}
      for _, fact in ipairs(expected(facts, {})) do
        table.insert(source:chance(30) and touched or untouched, fact)
      end
      assert.is_true(#touched > 3 and #untouched > 10)
      local list = pages.all(alice, "list", { limit = 3 }, function(n)
        assert(alice:create())
        local fact = touched[n]
        if fact and n % 3 == 0 then
          assert(assert(alice:get(fact.id)):purge())
        elseif fact and n % 3 == 1 then
          assert(assert(alice:get(fact.id)):append("user", "x"))
        elseif fact then
          assert(assert(alice:get(fact.id)):delete())
        end
      end)
      local seen = {}
      for _, item in ipairs(list) do
        seen[item.id] = (seen[item.id] or 0) + 1
        assert.equal(1, seen[item.id])
      end
      for _, fact in ipairs(untouched) do assert.equal(1, seen[fact.id]) end
    end)

    it("is one's own, whatever the other users have", function()
      local alice, _, store = fresh()
      local bob = store:user("bob")
      local hers, his = assert(alice:conversation("k")), assert(bob:conversation("k"))
      assert(hers:append("user", "secret of alice"))
      assert(his:append("user", "secret of bob"))
      for _, deleted in ipairs({ false, true, "any" }) do
        for _, item in ipairs(assert(alice:list({ deleted = deleted }))) do
          assert.equal("alice", item.user_id)
          assert.equal(hers.id, item.id)
        end
      end
      assert.equal(1, #assert(bob:list()))
      assert.same({}, assert(store:user("carol"):list()))
    end)

    it("goes over all pages by an iterator, with no I/O before the first step", function()
      local source = random.new(3)
      local alice, database, store = fresh()
      local facts = fill(alice, database, source, 30)
      for _, limit in ipairs({ 1, 4, 29, 1000 }) do
        for _, options in ipairs({ {}, { order = "created", deleted = "any" }, { status = "closed" } }) do
          options.limit = limit
          local list = {}
          local iterate = alice:conversations(options)
          options.limit, options.order = 2, "created" -- what was given is kept
          for item in iterate do list[#list + 1] = item end
          options.order = options.deleted and "created" or nil
          assert.equal(ids(expected(facts, options)), ids(list))
          assert.is_nil(iterate())
        end
      end
      local count = 0
      for item in alice:conversations({ cursor = select(2, assert(alice:list({ limit = 1 }))) }) do
        count = count + (item.id and 1 or 0)
      end
      assert.equal(#expected(facts, {}) - 1, count)
      local iterate = alice:conversations()
      assert(iterate())
      collectgarbage()
      alice:close()
      while pcall(iterate) and iterate() do end -- what was fetched may still come
      iterate = store:user("alice"):conversations()
      store:close()
      check.raises("closed", iterate)
    end)

    it("raises inside the loop what list would return", function()
      local alice = fresh()
      for _, options in ipairs({ { limit = 0 }, { cursor = "x" } }) do
        local iterate = alice:conversations(options)
        check.raises("^invalid: ", iterate)
      end
      check.raises("^invalid: order", alice.conversations, alice, { order = "x" })
      check.argument("unknown option", alice, "conversations", { nonsense = 1 })
      check.argument("limit", alice, "conversations", { limit = "1" })
    end)

    it("refuses a cursor that is forged, cut, another user's, another call's or of other options", function()
      local alice, _, store = fresh()
      local bob = store:user("bob")
      for _, user in ipairs({ alice, bob }) do
        for _ = 1, 3 do assert(assert(user:create()):append("user", "x")) end
      end
      local _, cursor = assert(alice:list({ limit = 1 }))
      for _, forged in ipairs(pages.forged(cursor)) do
        check.fails("invalid", "cursor", alice:list({ cursor = forged }))
      end
      check.fails("invalid", "cursor", bob:list({ cursor = cursor }))
      check.fails("invalid", "cursor", alice:messages({ cursor = cursor }))
      local _, foreign = assert(alice:messages({ limit = 1 }))
      check.fails("invalid", "cursor", alice:list({ cursor = foreign }))
      for _, options in ipairs({ { order = "created" }, { status = "active" }, { deleted = true },
        { deleted = "any" } }) do
        options.cursor = cursor
        check.fails("invalid", "cursor", alice:list(options))
      end
      assert.equal(2, #assert(alice:list({ cursor = cursor, limit = 5, order = "updated", deleted = false })))
    end)

    if backend.shared then
      it("takes a cursor that another process was given", function()
        local alice, database = fresh()
        for _ = 1, 3 do assert(alice:create()) end
        local list, cursor = assert(alice:list({ limit = 2 }))
        local later = database:reopen():user("alice")
        local rest = assert(later:list({ cursor = cursor }))
        assert.equal(1, #rest)
        assert.is_true(rest[1].id ~= list[1].id and rest[1].id ~= list[2].id)
      end)

      it("shows the last message of an archived conversation", function()
        local alice, database = fresh()
        local chat = assert(alice:create())
        assert(chat:append("user", "one"))
        assert(chat:append("assistant", "two"))
        local before = assert(alice:list())
        rows.archive(database, chat.id)
        check.same_json(before, assert(alice:list()))
        check.same_json(before, assert(alice:list({ order = "created", deleted = "any" })))
      end)
    end

    it("refuses a limit, order, status or deleted out of its range", function()
      local alice = fresh()
      for _, limit in ipairs({ 0, -1, 1001, math.maxinteger, math.mininteger }) do
        check.fails("invalid", "limit", alice:list({ limit = limit }))
      end
      check.fails("invalid", "order", alice:list({ order = "desc" }))
      check.fails("invalid", "status", alice:list({ status = "open" }))
      check.fails("invalid", "deleted", alice:list({ deleted = "yes" }))
      check.argument("status", alice, "list", { status = convstore.null })
      check.argument("deleted", alice, "list", { deleted = 1 })
    end)
  end)
end
