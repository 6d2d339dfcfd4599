-- store:users: who has something in a store, page by page, against a model in plain Lua.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local pages = require "spec.support.pages"
local random = require "spec.support.random"
local rows = require "spec.support.rows"
local system = require "system"

for _, backend in ipairs(backends) do
  describe("users " .. backend.tags, function()
    after_each(backends.clean)

    -- n users with some conversations each, archived, deleted and empty ones among them; what the contract says.
    local function fill(store, database, names)
      local source, facts = random.new(11), {}
      for i, name in ipairs(names) do
        local fact = { user_id = name, conversations = source:int(1, 4), messages = 0, updated_at = 0 }
        for _ = 1, fact.conversations do
          local chat = assert(store:user(name):create())
          for _ = 1, source:int(0, 3) do
            assert(chat:append("user", "x"))
            fact.messages = fact.messages + 1
          end
          if backend.shared and source:chance(30) then rows.archive(database, chat.id) end
          if source:chance(30) then assert(chat:delete()) end
          if backend.shared then rows.set_updated_at(database, chat.id, source:int(1, 1000)) end
          local now = assert(store:user(name):get(chat.id, { deleted = true }))
          fact.updated_at = math.max(fact.updated_at, now.updated_at)
        end
        facts[i] = fact
      end
      table.sort(facts, function(a, b) return a.user_id < b.user_id end)
      return facts
    end

    it("of an empty store are none", function()
      local store = backend.fresh()
      local list, cursor = assert(store:users())
      assert.same({}, list)
      assert.is_nil(cursor)
      assert.same({}, assert(store:users({ limit = 1000 })))
    end)

    it("come by their ids' bytes, with all that is stored of theirs, in pages of any size", function()
      local store, database = backend.fresh()
      local facts = fill(store, database, {
        "a", "B", "b", "ä", "Z", "aa", "a b", "7", "10", "-1", "a\n", "\u{1F600}", ("x"):rep(255),
        ("x"):rep(254) .. "w", "~", "!", '"', "room:1", "room:12", "room:2", "z1", "z2", "z3",
      })
      local list, cursor = assert(store:users())
      assert.equal(20, #list)
      assert.equal("string", type(cursor))
      for limit = 1, #facts + 1 do
        assert.same(facts, (pages.all(store, "users", { limit = limit })))
      end
      assert.same({ facts[21], facts[22], facts[23] }, assert(store:users({ cursor = cursor })))
    end)

    it("come in pages that never repeat one while others come and go", function()
      local store = backend.fresh()
      for i = 1, 30 do assert(store:user(("u%02d"):format(i)):create()) end
      local between = 0
      local list = pages.all(store, "users", { limit = 4 }, function(n)
        between = n
        assert(store:user(("u%02dx"):format(n)):create())
        assert(assert(store:user(("u%02d"):format(30 - n)):list())[1])
      end)
      assert.is_true(between >= 7)
      local seen = {}
      for i, user in ipairs(list) do
        assert.is_nil(seen[user.user_id])
        seen[user.user_id] = true
        assert(i == 1 or list[i - 1].user_id < user.user_id)
      end
      for i = 1, 30 do assert.is_true(seen[("u%02d"):format(i)]) end
    end)

    it("refuse what is no limit or cursor", function()
      local store = backend.fresh()
      for i = 1, 3 do assert(store:user("u" .. i):create()) end
      local _, cursor = assert(store:users({ limit = 1 }))
      for _, forged in ipairs(pages.forged(cursor)) do
        check.fails("invalid", "cursor", store:users({ cursor = forged }))
      end
      -- One of another list, and the other way round.
      local alice = store:user("alice")
      for _ = 1, 2 do assert(alice:create()) end
      local _, other = assert(alice:list({ limit = 1 }))
      check.fails("invalid", "cursor", store:users({ cursor = other }))
      check.fails("invalid", "cursor", alice:list({ cursor = cursor }))
      check.fails("invalid", "cursor", alice:messages({ cursor = cursor }))
      check.fails("invalid", "cursor", alice:search("x", { cursor = cursor }))
      for _, limit in ipairs({ 0, -1, 1001 }) do
        check.fails("invalid", "limit", store:users({ limit = limit }))
      end
      check.argument("unknown option", store, "users", { role = "user" })
      check.argument("#1", store, "users", "x")
      assert.equal(2, #assert(store:users({ cursor = cursor, limit = 2 })))
    end)

    if not backend.shared then return end

    it("that are integers or UUIDs come in the order of their type", function()
      for _, case in ipairs({
        { "INTEGER PRIMARY KEY", "bigint",
          { "-9223372036854775808", "-12", "-1", "0", "7", "10", "9223372036854775807" } },
        { "uuid PRIMARY KEY", "uuid",
          { "00000000-0000-0000-0000-000000000000", "054e1df3-35e0-4bb8-a585-607dbdcd24e0",
            "ffffffff-ffff-ffff-ffff-ffffffffffff" } },
      }) do
        local database = backend.place()
        local type_name = database.server_database and case[2] .. " PRIMARY KEY" or case[1]
        database:sql(("CREATE TABLE hosts (id %s); INSERT INTO hosts VALUES ('%s');"):format(type_name,
          table.concat(case[3], "'), ('")))
        local store = database:open({ users = "hosts(id)" })
        for i = #case[3], 1, -1 do assert(store:user(case[3][i]):create()) end
        for limit = 1, 8 do
          local list = pages.all(store, "users", { limit = limit })
          assert.equal(#case[3], #list)
          for i, user in ipairs(list) do assert.equal(case[3][i], user.user_id) end
        end
      end
    end)

    it("cost a page, however many there are and whatever they have", function()
      local store, database = backend.fresh()
      local now = database.server_database and "now()" or "1"
      local id = database.server_database
        and "CAST('00000000-0000-7000-8000-' || lpad(i::text, 12, '0') AS uuid)"
        or "printf('00000000-0000-7000-8000-%012d', i)"
      -- 20,000 users of one conversation, and one in the middle with 20,000 of them.
      database:sql("INSERT INTO " .. database:table("conversations")
        .. " (user_id, id, created_at, updated_at)"
        .. " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)"
        .. " SELECT CASE WHEN i > 20000 THEN 'm' ELSE CAST(i AS text) END, " .. id .. ", " .. now
        .. ", " .. now .. " FROM n;")
      local function fastest(options)
        local best = math.huge
        for _ = 1, 5 do
          local started = system.monotime()
          assert(store:users(options))
          best = math.min(best, system.monotime() - started)
        end
        return best
      end
      local whole = fastest({ limit = 1000 })
      local one = fastest({ limit = 5 })
      assert.is_true(one < 0.02, ("%.1f ms for 5, %.1f ms for 1,000"):format(one * 1000, whole * 1000))
      assert.equal(20001, #(pages.all(store, "users", { limit = 1000 })))
    end)
  end)
end
