-- user:usage: sums over a user's messages, against a model in plain Lua.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"
local rows = require "spec.support.rows"

local DAY = 86400000
local ROLES = { "user", "assistant", "system", "developer", "tool" }

for _, backend in ipairs(backends) do
  describe("usage " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      return store:user("alice"), database, store
    end

    -- Conversations with messages around midnights; one deleted, one archived. What counts, as a list.
    local function fill(alice, database, source)
      local all = {}
      for i = 1, 6 do
        local chat = assert(alice:create())
        local batch = {}
        for k = 1, i == 6 and 0 or source:int(1, 20) do
          local role = source:pick(ROLES)
          batch[k] = { role = role, content = "x", tool_call_id = role == "tool" and "c" or nil,
            token_count = source:int(0, 1000),
            created_at = math.max(0, source:int(0, 3) * DAY * 500 + source:int(-2, 2)) }
        end
        assert(chat:append_many(batch))
        if i == 2 then
          assert(chat:delete())
        else
          for _, message in ipairs(assert(chat:history())) do all[#all + 1] = message end
        end
        if i == 3 and backend.shared then rows.archive(database, chat.id) end
      end
      return all
    end

    local function add(group, message)
      group.messages = (group.messages or 0) + 1
      group.tokens = (group.tokens or 0) + message.token_count
    end

    local function grouped(list, name, key)
      local groups, by = {}, {}
      for _, message in ipairs(list) do
        local value = key(message)
        if not by[value] then
          by[value] = { [name] = value }
          groups[#groups + 1] = by[value]
        end
        add(by[value], message)
      end
      return groups
    end

    -- What the contract says of it.
    local function expected(all, options)
      local list = {}
      for _, message in ipairs(all) do
        local time = message.created_at
        if time >= (options.since or 0) and time < (options.before or math.huge) then
          list[#list + 1] = message
        end
      end
      if options.by == "day" then
        local days = grouped(list, "day", function(m) return os.date("!%Y-%m-%d", m.created_at // 1000) end)
        table.sort(days, function(a, b) return a.day < b.day end)
        return days
      end
      local chats = grouped(list, "conversation_id", function(m) return m.conversation_id end)
      if options.by == "conversation" then
        table.sort(chats, function(a, b)
          if a.tokens ~= b.tokens then return a.tokens > b.tokens end
          return a.conversation_id < b.conversation_id
        end)
        return chats
      end
      local sums = { messages = 0, tokens = 0, conversations = #chats, by_role = {} }
      for _, message in ipairs(list) do
        add(sums, message)
        sums.by_role[message.role] = sums.by_role[message.role] or {}
        add(sums.by_role[message.role], message)
      end
      return sums
    end

    it("of nothing is nothing", function()
      local alice = fresh()
      assert(alice:create())
      assert.same({ conversations = 0, messages = 0, tokens = 0, by_role = {} }, assert(alice:usage()))
      assert.same({}, assert(alice:usage({ by = "day" })))
      assert.same({}, assert(alice:usage({ by = "conversation" })))
    end)

    it("counts by role, by day and by conversation, between two times", function()
      local source = random.new(31)
      local alice, database = fresh()
      local all = fill(alice, database, source)
      local times = { 0, 1, DAY * 500 - 1, DAY * 500, DAY * 500 + 1, DAY * 1000, 253402300799999 }
      for _, by in ipairs({ false, "day", "conversation" }) do
        for round = 1, 15 do
          local options = { by = by or nil }
          if round > 1 and source:chance(60) then options.since = source:pick(times) end
          if round > 1 and source:chance(60) then options.before = source:pick(times) end
          check.same_json(expected(all, options), assert(alice:usage(options)))
        end
      end
      check.same_json(expected(all, {}), assert(alice:usage(nil)))
    end)

    it("gives days by UTC, from the first to the last that a time can be of", function()
      local alice = fresh()
      local chat = assert(alice:create())
      for _, time in ipairs({ 0, DAY - 1, DAY, 1769903999999, 1769904000000, 253402300799999 }) do
        assert(chat:append("user", "x", { created_at = time, token_count = 2 }))
      end
      assert.same({
        { day = "1970-01-01", messages = 2, tokens = 4 }, { day = "1970-01-02", messages = 1, tokens = 2 },
        { day = "2026-01-31", messages = 1, tokens = 2 }, { day = "2026-02-01", messages = 1, tokens = 2 },
        { day = "9999-12-31", messages = 1, tokens = 2 },
      }, assert(alice:usage({ by = "day" })))
    end)

    it("adds tokens beyond 32 bits", function()
      local alice = fresh()
      local chat = assert(alice:create())
      for _ = 1, 3 do assert(chat:append("user", "x", { token_count = 2147483647 })) end
      assert.equal(3 * 2147483647, assert(alice:usage()).tokens)
    end)

    it("is one's own, without what is deleted, redacted messages counted", function()
      local alice, _, store = fresh()
      local chat = assert(alice:conversation("k"))
      assert(chat:append("user", "x", { token_count = 5 }))
      assert(assert(store:user("bob"):conversation("k")):append("user", "x", { token_count = 100 }))
      assert(chat:redact(1))
      assert.equal(5, assert(alice:usage()).tokens)
      assert(chat:delete())
      assert.equal(0, assert(alice:usage()).messages)
      assert.same({}, assert(alice:usage({ by = "conversation" })))
      assert.same({}, assert(alice:usage({ by = "day" })))
    end)

    it("refuses times and groups out of their range", function()
      local alice = fresh()
      for _, time in ipairs({ -1, 253402300800000, math.maxinteger, math.mininteger }) do
        check.fails("invalid", "since", alice:usage({ since = time }))
        check.fails("invalid", "before", alice:usage({ before = time }))
      end
      for _, by in ipairs({ "", "role", "Day", "month" }) do
        check.fails("invalid", "by", alice:usage({ by = by }))
      end
      check.argument("unknown option", alice, "usage", { limit = 1 })
      check.argument("by", alice, "usage", { by = 1 })
    end)
  end)
end
