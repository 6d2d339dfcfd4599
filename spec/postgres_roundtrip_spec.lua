-- A call is one round trip, as counted by a proxy between the store and the server: on the wire (a burst of the
-- client's, then one of the server's) and by the protocol (a Sync is a point where the client waits).
local convstore = require "convstore"
local system = require "system"
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"
local proxy = require "spec.support.proxy"

if not postgres.is_there() then return end

describe("a round trip #postgres", function()
  after_each(function()
    proxy.clean()
    backends.clean()
  end)

  local function fresh(options)
    local database = backends.postgres.place()
    local network = proxy.start(database.dsn)
    database.dsn = network:dsn(database.dsn)
    local store = database:open(options)
    return store, network, database
  end

  -- How many round trips fn() costs.
  local function cost(network, fn)
    network:reset()
    fn()
    local trips, syncs = network:count()
    assert.equal(syncs, trips)
    return trips
  end

  -- The calls that must cost one, in an order in which they work.
  local function calls(store)
    local alice = store:user("alice")
    local chat, other
    local batch = {}
    for i = 1, 1000 do
      batch[i] = { role = "user", content = ("message %d "):format(i) .. ("x"):rep(100) }
    end
    return {
      { "conversation, made", function()
        chat = assert(alice:conversation("k", { title = "T", metadata = { a = 1 } }))
      end },
      { "conversation, found", function() assert(alice:conversation("k")) end },
      { "create", function() other = assert(alice:create({ title = "other" })) end },
      { "get", function() assert(alice:get(chat.id)) end },
      { "refresh", function() assert(chat:refresh()) end },
      { "append", function() assert(chat:append("user", "hello")) end },
      { "append with an id", function() assert(chat:append("user", "hello", { id = convstore.uuid() })) end },
      { "append with expect", function() assert(chat:append("user", "hello", { expect = 2 })) end },
      { "append with everything", function()
        assert(chat:append({
          role = "assistant", content = { { type = "text", text = "x" } }, name = "n", created_at = 5,
          tool_calls = { { id = "c" } }, attachments = { { name = "a" } }, metadata = { a = 1 },
        }))
      end },
      { "append_many of 3", function() assert(chat:append_many({ batch[1], batch[2], batch[3] })) end },
      { "append_many of 1,000", function() assert(chat:append_many(batch)) end },
      { "history page", function() assert(#assert(chat:history({ limit = 50 })) == 50) end },
      { "history page forwards", function()
        assert(#assert(chat:history({ after = 10, limit = 50 })) == 50)
      end },
      { "history of a role", function()
        assert(#assert(chat:history({ role = "assistant", limit = 5 })) == 1)
      end },
      { "history, whole", function() assert(#assert(chat:history()) == 1007) end },
      { "context", function() assert(chat:context({ max_tokens = 4000, reserve = 500 })) end },
      { "context of some messages", function() assert(chat:context_json({ max_messages = 50 })) end },
      { "context, whole", function() assert(#assert(chat:context()) == 1006) end }, -- one has an open call
      { "context that is too large", function() assert(not chat:context({ max_tokens = 1 })) end },
      { "message by seq", function() assert(chat:message(1)) end },
      { "message by id", function() assert(chat:message(assert(chat:message(7)).id)) end, 2 },
      { "update", function() assert(chat:update({ title = "U", status = "closed", key = "l" })) end },
      { "update that replaces metadata", function() assert(chat:update({ metadata = { b = 1 } })) end },
      { "update that merges metadata", function()
        assert(chat:update({ metadata = { c = 1 }, merge = true }))
      end },
      { "annotate", function() assert(chat:annotate(1, { a = { b = 1 } })) end },
      { "redact", function() assert(chat:redact(2)) end },
      { "fork", function()
        assert(assert(chat:fork({ title = "fork", metadata = { a = 1 } })):purge())
      end, 2 },
      { "fork at a message", function() assert(assert(chat:fork({ at = 7 })):purge()) end, 2 },
      { "fork beyond the end", function() assert(not chat:fork({ at = 100000 })) end },
      { "summarize", function()
        assert(chat:summarize("They met.", { through = 3, metadata = { a = 1 } }))
      end },
      { "summarize beyond the end", function() assert(not chat:summarize("x", { through = 100000 })) end },
      { "list", function() assert(#assert(alice:list()) == 2) end },
      { "list of everything by creation", function()
        assert(#assert(alice:list({ deleted = "any", order = "created", limit = 1000 })) == 2)
      end },
      { "list, two pages", function()
        local _, cursor = assert(alice:list({ limit = 1 }))
        assert(alice:list({ limit = 1, cursor = cursor }))
      end, 2 },
      { "messages", function() assert(#assert(alice:messages()) == 50) end },
      { "messages of a role", function()
        assert(#assert(alice:messages({ role = { "assistant" } })) == 1)
      end },
      { "usage", function() assert(assert(alice:usage()).messages == 1007) end },
      { "usage by day", function() assert(alice:usage({ by = "day" })) end },
      { "usage by conversation", function() assert(#assert(alice:usage({ by = "conversation" })) == 1) end },
      { "users", function() assert(#assert(store:users()) == 1) end },
      { "users, two pages", function()
        assert(store:user("bob"):create())
        local _, cursor = assert(store:users({ limit = 1 }))
        assert(#assert(store:users({ limit = 1, cursor = cursor })) == 1)
        for _, chat_of_bob in ipairs(assert(store:user("bob"):list())) do
          assert(assert(store:user("bob"):get(chat_of_bob.id)):purge())
        end
      end, 6 },
      { "stats", function() assert(assert(store:stats()).messages == 1007) end },
      { "check", function() assert(#assert(store:check()) == 0) end },
      { "delete", function() assert(other:delete()) end },
      { "restore", function() assert(other:restore()) end },
      { "purge", function() assert(other:purge()) end },
      { "a message that is not there", function() assert(not chat:message(100000)) end },
    }
  end

  for _, prepare in ipairs({ "auto", true, false }) do
    it("is all that a call costs, the first of its kind too, with prepare = " .. tostring(prepare), function()
      local store, network = fresh({ prepare = prepare })
      for round = 1, 2 do
        if round == 2 then
          store:user("alice"):conversation("l"):purge()
        end
        for _, call in ipairs(calls(store)) do
          assert.equal(call[3] or 1, cost(network, call[2]), call[1])
        end
      end
    end)
  end

  it("is the time that a call takes on a slow network", function()
    local store, network = fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    network:delay(10)
    for _, call in ipairs({
      function() return chat:append("user", "x") end,
      function() return chat:history({ limit = 50 }) end,
      function() return chat:context({ max_tokens = 1000 }) end,
      function() return chat:message(1) end,
      function() return chat:annotate(1, { a = 1 }) end,
      function() return chat:update({ metadata = { a = 1 }, merge = true }) end,
    }) do
      local fastest = math.huge
      for _ = 1, 5 do
        local started = system.monotime()
        assert(call())
        fastest = math.min(fastest, system.monotime() - started)
      end
      assert.is_true(fastest >= 0.02 and fastest < 0.04, ("%.1f ms"):format(fastest * 1000))
    end
  end)

  it("is all that a transaction adds at each end", function()
    local store, network = fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local n = cost(network, function()
      assert(store:transaction(function()
        assert(chat:append("user", "x"))
        assert(chat:append("user", "y"))
        return true
      end))
    end)
    assert.is_true(n <= 4, n .. " round trips")
  end)

  it("is all that a page of each costs", function()
    local store, network = fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local batch = {}
    for i = 1, 1000 do batch[i] = { role = "user", content = "x" } end
    assert(chat:append_many(batch))
    local seen = 0
    local n = cost(network, function()
      for _ in chat:each() do seen = seen + 1 end
    end)
    assert.equal(1000, seen)
    assert.is_true(n <= 20, n .. " round trips for 1,000 messages")
  end)

  it("and a few more are what a context costs that has to look far back", function()
    local store, network = fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local batch = { { role = "user", content = "first", token_count = 1 } }
    for i = 2, 4000 do
      batch[i] = { role = "tool", tool_call_id = "orphan", content = "x", token_count = 1000 }
    end
    batch[4001] = { role = "user", content = "last", token_count = 1 }
    assert(chat:append_many(batch))
    for _, options in ipairs({ { max_tokens = 2 }, { max_messages = 2 }, {} }) do
      local n = cost(network, function() assert(#assert(chat:context(options)) == 2) end)
      assert.is_true(n <= 16, n .. " round trips")
    end
  end)

  it("more tells a replay from a conflict", function()
    local store, network = fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local id = assert(chat:append("user", "x")).id
    assert.is_true(cost(network, function() assert(chat:append("user", "x", { id = id })) end) <= 3)
    assert.is_true(cost(network, function() assert(not chat:append("user", "y", { id = id })) end) <= 3)
    assert.is_true(cost(network, function() assert(not chat:append("user", "y", { expect = 77 })) end) <= 3)
  end)
end)
