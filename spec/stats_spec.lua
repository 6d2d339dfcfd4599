-- store:stats: how much a store holds, by its conversations' own counters.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"
local rows = require "spec.support.rows"

for _, backend in ipairs(backends) do
  describe("stats " .. backend.tags, function()
    after_each(backends.clean)

    -- The numbers that a test can foresee.
    local function sums(store)
      local stats = assert(store:stats())
      return { users = stats.users, conversations = stats.conversations, messages = stats.messages,
        archived_messages = stats.archived_messages }
    end

    it("of an empty store are zeros, beside what the database is", function()
      local store = backend.fresh()
      local stats = assert(store:stats())
      assert.equal(backend.name:match("^sqlite") or "postgres", stats.backend)
      assert.truthy(stats.backend_version:find("^%d+%.%d+"), stats.backend_version)
      assert.equal((store:schema_version()), stats.schema_version)
      assert.is_true(stats.bytes > 50000)
      assert.same({ users = 0, conversations = 0, messages = 0, archived_messages = 0 }, sums(store))
      local n = 0
      for _, value in pairs(stats) do
        n = n + 1
        assert(type(value) == "string" or math.type(value) == "integer")
      end
      assert.equal(8, n)
    end)

    it("count all users' rows, deleted and archived ones too", function()
      local source = random.new(5)
      local store, database = backend.fresh()
      local expected = { users = 0, conversations = 0, messages = 0, archived_messages = 0 }
      for u = 1, 8 do
        expected.users = expected.users + 1
        for _ = 1, source:int(1, 6) do
          local chat = assert(store:user("user " .. u):create())
          local n, batch = source:int(0, 9), {}
          for i = 1, n do batch[i] = { role = "user", content = "x" } end
          assert(chat:append_many(batch))
          expected.conversations = expected.conversations + 1
          expected.messages = expected.messages + n
          if backend.shared and source:chance(30) then
            rows.archive(database, chat.id)
            expected.archived_messages = expected.archived_messages + n
          end
          if source:chance(30) then assert(chat:delete()) end
        end
      end
      assert.same(expected, sums(store))
    end)

    it("follow what is written, in a transaction as well", function()
      local store = backend.fresh()
      local chat = assert(store:user(7):create())
      assert.same({ users = 1, conversations = 1, messages = 0, archived_messages = 0 }, sums(store))
      assert.is_nil((store:transaction(function()
        assert(chat:append("user", "x"))
        assert.equal(1, sums(store).messages)
        assert(assert(store:user(8):create()):append("user", "y"))
        assert.same({ users = 2, conversations = 2, messages = 2, archived_messages = 0 }, sums(store))
        -- A user's call right behind sees that user's own rows only.
        assert.equal(1, #assert(store:user(8):list()))
        return nil, "no"
      end)))
      assert.same({ users = 1, conversations = 1, messages = 0, archived_messages = 0 }, sums(store))
      assert(chat:purge())
      assert.same({ users = 0, conversations = 0, messages = 0, archived_messages = 0 }, sums(store))
    end)

    it("have more bytes when there is more", function()
      local store = backend.fresh()
      local before = assert(store:stats()).bytes
      local chat, batch = assert(store:user("alice"):create()), {}
      for i = 1, 200 do batch[i] = { role = "user", content = convstore.uuid():rep(100) } end
      assert(chat:append_many(batch))
      local more = assert(store:stats()).bytes - before
      assert.is_true(more > 200000 and more < 4000000, more .. " bytes more")
    end)

    it("take no arguments that mean anything, and need a schema", function()
      local store = backend.fresh()
      assert.equal(0, assert(store:stats(nil)).users)
      assert(store:migrate(0))
      check.fails("schema", "migrat", store:stats())
    end)

    if backend.shared then
      it("come from a store that may only read", function()
        local store, database = backend.fresh()
        assert(assert(store:user("alice"):create()):append("user", "x"))
        assert.equal(1, assert(database:open({ readonly = true }):stats()).messages)
      end)

      it("are those of the counters: no message is read", function()
        local store, database = backend.fresh()
        assert(assert(store:user("alice"):create()):append("user", "x"))
        database:sql("UPDATE " .. database:table("conversations") .. " SET last_seq = 1000000;")
        assert.equal(1000000, assert(store:stats()).messages)
      end)

      it("have an answer where counters are damaged", function()
        local store, database = backend.fresh()
        for _ = 1, 2 do assert(assert(store:user("alice"):create()):append("user", "x")) end
        database:sql("UPDATE " .. database:table("conversations") .. " SET last_seq = 9223372036854775807;")
        assert.equal(math.maxinteger, assert(store:stats()).messages)
        assert.equal(math.maxinteger, assert(store:users())[1].messages)
        local problems = assert(store:check())
        assert.equal(2, #problems)
        assert.equal("counter", problems[1].problem)
      end)
    end
  end)
end
