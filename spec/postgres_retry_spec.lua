-- PostgreSQL behind a bad network: what was asked happens once, the answer comes in time, and the code tells the cause.
local convstore = require "convstore"
local system = require "system"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local proxy = require "spec.support.proxy"
local random = require "spec.support.random"
local shell = require "spec.support.shell"

if not postgres.is_there() then return end

local postgresql = backends.postgres

-- A database whose DSN leads through a proxy, and that proxy. database:sql() goes around it.
local function place()
  local database = postgresql.place()
  local network = proxy.start(database.dsn)
  database.direct_dsn, database.dsn = database.dsn, network:dsn(database.dsn)
  return database, network
end

-- The results of fn(...) behind the seconds that it took.
local function timed(fn, ...)
  local started = system.monotime()
  local results = table.pack(fn(...))
  return system.monotime() - started, table.unpack(results, 1, results.n)
end

local function assert_between(least, most, seconds)
  assert.is_true(seconds >= least and seconds <= most,
    ("%.2f s, expected %g to %g"):format(seconds, least, most))
end

local function clean()
  proxy.clean() -- first, so that no server process waits for a client that is not there
  backends.clean()
end

describe("a lost connection #postgres #faults", function()
  after_each(clean)

  local function fresh(options)
    local database, network = place()
    local store = database:open(options)
    local alice = store:user("alice")
    return alice, assert(alice:conversation("a")), network, database, store
  end

  -- Every kind of write, each a function that does it and looks at what came back.
  local function writes(alice, chat)
    local id = convstore.uuid()
    local other = assert(alice:create({ title = "other" }))
    assert(other:append("user", "x"))
    local doomed = assert(alice:create())
    local forked = assert(alice:create())
    assert(forked:append("user", "to be forked"))
    return {
      { "append", function() return chat:append("user", "one") end },
      { "append with an id", function() return chat:append("user", "one", { id = id }) end },
      { "append with expect", function() return chat:append("user", "two", { expect = chat.last_seq }) end },
      { "append_many", function()
        return chat:append_many({ { role = "user", content = "three" },
          { role = "assistant", content = "four" } })
      end },
      { "create", function() return alice:create({ title = "new" }) end },
      { "create with a key", function() return alice:create({ key = "created" }) end },
      { "conversation", function() return alice:conversation("made") end },
      { "update", function() return chat:update({ title = "T", metadata = { a = 1 }, merge = true }) end },
      { "annotate", function() return other:annotate(1, { a = 1 }) end },
      { "redact", function() return other:redact(1) end },
      { "delete", function() return other:delete() end },
      { "restore", function() return other:restore() end },
      { "purge", function() return doomed:purge() end },
      { "fork", function() return forked:fork({ title = "forked", key = "forked" }) end },
      { "summarize", function() return forked:summarize("sum", { metadata = { a = 1 } }) end },
    }
  end

  local BREAKS = {
    { "as COMMIT has gone out", { "cut", "commit" } },
    { "as the answer to COMMIT comes", { "cut", "server", 0 } },
    { "before anything has gone out", { "cut", "client", 0 } },
  }

  for _, case in ipairs(BREAKS) do
    it("lets every write succeed once when it goes " .. case[1], function()
      local alice, chat, network, database = fresh()
      for _, write in ipairs(writes(alice, chat)) do
        local cuts = network:cuts()
        network:tell(table.unpack(case[2]))
        local result, message = write[2]()
        assert.is_truthy(result, write[1] .. ": " .. tostring(message))
        assert.equal(cuts + 1, network:cuts(), write[1])
        database:settle()
      end
      -- one, one with an id, two, three, four
      assert.equal("1 one\n2 one\n3 two\n4 three\n5 four\n", database:sql(([[
        SELECT seq || ' ' || content FROM convstore.messages
         WHERE conversation_id = '%s' ORDER BY seq]]):format(chat.id)))
      assert.equal("1|1|1|0|1\n", database:sql([[
        SELECT count(*) FILTER (WHERE title = 'new'), count(*) FILTER (WHERE key = 'created'),
               count(*) FILTER (WHERE key = 'made'), count(*) FILTER (WHERE deleted_at IS NOT NULL),
               count(*) FILTER (WHERE title = 'forked' AND last_seq = 1)
          FROM convstore.conversations]]))
      assert.equal("1|1|1|sum\n", database:sql([[
        SELECT count(*), max(ordinal), max(through), max(content) FROM convstore.summaries]]))
      database:assert_sound()
    end)

    -- A part whose answer is lost is done, but not counted.
    it("lets archive, purge and erase do all their work when it goes " .. case[1], function()
      local alice, _, network, database, store = fresh()
      for _, user in ipairs({ alice, store:user("bob") }) do
        assert(assert(user:create()):append_many({ { role = "user", content = "x" },
          { role = "user", content = "y" } }))
      end
      for _, work in ipairs({
        { "archive", function() return store:archive({ idle_before = 253402300799999 }) end, 3, 0, 4 },
        { "erase", function() return alice:erase() end, 2, 0, 2 },
        { "purge", function() return store:purge({ idle_before = 253402300799999 }) end, 1, 0, 0 },
      }) do
        local cuts = network:cuts()
        network:tell(table.unpack(case[2]))
        local result = assert(work[2]())
        assert.equal(cuts + 1, network:cuts(), work[1])
        assert.is_true(result.conversations == 0 or result.conversations == work[3], work[1])
        assert.equal(work[4], database:count("messages"), work[1])
        assert.equal(work[5], database:count("messages_archive"), work[1])
        database:assert_sound()
      end
      assert.equal(0, database:count("conversations"))
    end)
  end

  it("lets every read succeed when it goes as the answer comes", function()
    local alice, chat, network = fresh()
    local id = assert(chat:append("user", "x")).id
    for name, read in pairs({
      history = function() return #assert(chat:history()) == 1 end,
      message = function() return assert(chat:message(1)).id == id end,
      by_id = function() return assert(chat:message(id)).seq == 1 end,
      get = function() return assert(alice:get(chat.id)).last_seq == 1 end,
      refresh = function() return assert(chat:refresh()).last_seq == 1 end,
      list = function() return assert(alice:list())[1].id == chat.id end,
      messages = function() return assert(alice:messages())[1].id == id end,
      usage = function() return assert(alice:usage()).messages == 1 end,
      each = function()
        local next_message, state, first = chat:each()
        return next_message(state, first).id == id
      end,
    }) do
      network:cut("server", 20)
      assert.is_true(read(), name)
    end
    assert.equal(9, network:cuts())
  end)

  it("lets an append succeed once wherever it is cut", function()
    local _, chat, network, database = fresh({ timeout = 20 })
    local source = random.new(3)
    local ids, acknowledged = {}, {}
    for i = 1, 60 do
      local side = i % 2 == 0 and "client" or "server"
      -- An append has a few hundred bytes; what is left of the count hits the connection that comes next.
      network:cut(side, source:int(0, 800))
      local message = assert(chat:append("user", "message " .. i))
      assert.equal("message " .. i, message.content)
      assert.is_nil(ids[message.id])
      ids[message.id], acknowledged[message.seq] = true, message.id
    end
    assert.is_true(network:cuts() >= 30, tostring(network:cuts()))
    network:cut("client", -1)
    network:cut("server", -1)
    local history = assert(chat:history())
    assert.equal(60, #history)
    for seq, message in ipairs(history) do
      assert.equal(acknowledged[seq], message.id)
      assert.equal("message " .. seq, message.content)
    end
    database:assert_sound()
  end)

  it("lets a batch succeed once wherever it is cut", function()
    local _, chat, network, database = fresh({ timeout = 20 })
    local source = random.new(4)
    for round = 1, 12 do
      local batch = {}
      for i = 1, 200 do
        batch[i] = { role = "user", content = ("%d:%d %s"):format(round, i, ("x"):rep(100)) }
      end
      network:cut(round % 2 == 0 and "client" or "server", source:int(0, round % 2 == 0 and 40000 or 10000))
      local stored = assert(chat:append_many(batch))
      assert.equal(round * 200, stored[200].seq)
    end
    assert.equal("2400\n", database:sql("SELECT count(*) FROM convstore.messages"))
    database:assert_sound()
  end)

  it("is not noticed where it goes between calls", function()
    local _, chat, network, database = fresh()
    for i = 1, 5 do
      network:kill()
      assert.equal(i, assert(chat:append("user", "x")).seq)
    end
    database:sql([[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()]])
    assert.equal(6, assert(chat:append("user", "x")).seq)
    database:assert_sound()
  end)

  it("ends a transaction, whose function is not called again", function()
    local _, chat, network, database, store = fresh()
    for _, how in ipairs({ { "kill" }, { "cut", "server", 0 }, { "cut", "client", 10 } }) do
      local calls = 0
      local _, message = check.fails("unavailable", nil, store:transaction(function()
        calls = calls + 1
        assert(chat:append("user", "lost"))
        network:tell(table.unpack(how))
        check.fails("unavailable", nil, chat:append("user", "never"))
        -- Only rolling back is left.
        check.fails("unavailable", nil, chat:append("user", "never"))
        check.fails("unavailable", nil, chat:history())
        return true
      end))
      assert.equal(1, calls)
      assert.truthy(message)
      assert.equal(0, #assert(chat:history()))
    end
    assert.is_true(store:transaction(function()
      assert(chat:append("user", "kept"))
      return true
    end))
    assert.equal("1\n", database:sql("SELECT count(*) FROM convstore.messages"))
  end)

  it("at a transaction's COMMIT gives unavailable, and the function is not called again", function()
    local _, chat, network, _, store = fresh()
    local calls = 0
    check.fails("unavailable", nil, store:transaction(function()
      calls = calls + 1
      assert(chat:append("user", "unknown"))
      network:cut("server", 0)
      return true
    end))
    assert.equal(1, calls)
    assert.is_true(#assert(chat:history()) <= 1)
  end)

  it("in the middle of each() is not noticed", function()
    local _, chat, network = fresh()
    local batch = {}
    for i = 1, 1000 do batch[i] = { role = "user", content = i .. ("x"):rep(3000) } end
    assert(chat:append_many(batch))
    local seen = 0
    for message in chat:each() do
      seen = seen + 1
      assert(message.seq == seen)
      if seen % 100 == 0 then network:kill() end
    end
    assert.equal(1000, seen)
  end)
end)

describe("a server that is away #postgres #faults", function()
  after_each(clean)

  it("for longer than the timeout gives unavailable, within it and a second", function()
    local database, network = place()
    local store = database:open({ timeout = 1 })
    local chat = assert(store:user("alice"):conversation("a"))
    network:down()
    local took, id, ids
    took, id = timed(function() return (check.fails("unavailable", nil, chat:append("user", "x"))) end)
    assert_between(0.9, 2, took)
    assert.equal(36, #id)
    took, ids = timed(function()
      return (check.fails("unavailable", nil, chat:append_many({ { role = "user", content = "y" } })))
    end)
    assert_between(0.9, 2, took)
    took = timed(function() check.fails("unavailable", nil, chat:history()) end)
    assert_between(0.9, 2, took)
    took = timed(function()
      check.fails("unavailable", nil, store:transaction(function() return chat:append("user", "x") end))
    end)
    assert_between(0.9, 2, took)
    took = timed(function() check.fails("unavailable", nil, database:try_open({ timeout = 0.5 })) end)
    assert_between(0.4, 1.5, took)
    network:up()
    assert.equal(1, assert(chat:append("user", "x", { id = id })).seq)
    assert.equal(2, assert(chat:append_many({ { role = "user", content = "y", id = ids[1] } }))[1].seq)
    assert.equal(1, assert(chat:append("user", "x", { id = id })).seq)
    database:assert_sound()
  end)

  it("for less than the timeout is waited for", function()
    local database, network = place()
    local chat = assert(database:open({ timeout = 10 }):user("alice"):conversation("a"))
    network:down()
    -- The proxy comes back while this process waits inside the call.
    network.commands:flush()
    local took = timed(function()
      local commands = shell.quote(network.folder .. "/commands")
      local later = assert(io.popen(("sleep 1; echo up > %s"):format(commands)))
      assert.equal(1, assert(chat:append("user", "x")).seq)
      later:close()
    end)
    network.answers:read("l")
    assert_between(0.9, 5, took)
  end)

  local control = os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL")

  it("for three seconds, stopped and started in mid-run, costs no call and no message", function()
    if not control then
      return pending("the server of CONVSTORE_TEST_POSTGRES_URL is not ours to stop")
    end
    local database = postgresql.place()
    local chat = assert(database:open({ timeout = 20 }):user("alice"):conversation("a"))
    local folder = shell.folder()
    finally(function() shell.remove(folder) end)
    psql.close_all()
    local quoted = shell.quote(control)
    local script = "exec >/dev/null 2>&1; %s stop fast; touch %s/down; sleep 3; %s start"
    local stopper = assert(io.popen(script:format(quoted, folder, quoted)))
    local slowest, n = 0, 0
    local deadline = system.monotime() + 30
    local went_down, since_up = false, 0
    -- Until it has been away and has answered a while again.
    while since_up < 200 do
      assert.is_true(system.monotime() < deadline, "the server did not come back")
      n = n + 1
      local took, message, why = timed(chat.append, chat, "user", "message " .. n)
      assert.is_truthy(message, why)
      assert.equal(n, message.seq)
      slowest = math.max(slowest, took)
      went_down = went_down or shell.exists(folder .. "/down")
      since_up = went_down and slowest > 2 and since_up + 1 or 0
    end
    stopper:close()
    assert_between(2, 15, slowest)
    assert.equal(n .. "\n", database:sql("SELECT count(*) FROM convstore.messages"))
    database:assert_sound()
  end)

  it("on one of two hosts is passed over", function()
    local database, network = place()
    local _, dead = place()
    dead:down()
    local both = database.direct_dsn:gsub("@127.0.0.1:", ("@127.0.0.1:%d,127.0.0.1:"):format(dead.port), 1)
    local chat
    local took = timed(function()
      local store = assert(convstore.open(both, { timeout = 10 }))
      table.insert(database.stores, store)
      chat = assert(store:user("alice"):conversation("a"))
      assert(chat:append("user", "x"))
    end)
    assert_between(0, 2, took)

    -- One that takes the connection and then says nothing is passed over too, in its share of the time.
    dead:up()
    dead:stall()
    took = timed(function()
      local store = assert(convstore.open(both, { timeout = 4 }))
      table.insert(database.stores, store)
      assert(store:user("alice"):get(chat.id))
    end)
    assert_between(0, 4, took)

    -- Both lead to the server now; the one in use goes in mid-run.
    dead:flow()
    local pair = database.dsn:gsub("@127.0.0.1:", ("@127.0.0.1:%d,127.0.0.1:"):format(dead.port), 1)
    local store = assert(convstore.open(pair, { timeout = 10 }))
    table.insert(database.stores, store)
    local again = assert(store:user("alice"):get(chat.id))
    dead:down()
    assert.equal(2, assert(again:append("user", "y")).seq)
    dead:up()
    network:down()
    assert.equal(3, assert(again:append("user", "z")).seq)
    dead:down()
    took = timed(function()
      check.fails("unavailable", nil, convstore.open(pair, { timeout = 1 }))
    end)
    assert_between(0.9, 2, took)
  end)

  it("whose name nobody knows gives unavailable in time", function()
    local took = timed(function()
      check.fails("unavailable", "nowhere.invalid",
        convstore.open("postgresql://postgres@nowhere.invalid/bots", { timeout = 1 }))
    end)
    assert_between(0, 2, took)
  end)
end)

describe("a stall #postgres #faults", function()
  after_each(clean)

  it("by a lock gives busy or timeout on time", function()
    local database = place()
    local store = database:open({ timeout = 0.5 })
    local alice = store:user("alice")
    local chat = assert(alice:conversation("a"))
    local holder = database:hold("ACCESS EXCLUSIVE")
    for name, call in pairs({
      append = function() return chat:append("user", "x") end,
      history = function() return chat:history() end,
      get = function() return alice:get(chat.id) end,
      conversation = function() return alice:conversation("b") end,
      update = function() return chat:update({ title = "x" }) end,
      purge = function() return chat:purge() end,
    }) do
      local took, ok, _, code = timed(call)
      assert.is_nil(ok, name)
      assert.is_true(code == "busy" or code == "timeout", name .. ": " .. tostring(code))
      assert_between(0.4, 1.5, took)
    end
    holder:release()
    assert.equal(1, assert(chat:append("user", "x")).seq)
    assert.equal("1\n", database:sql("SELECT count(*) FROM convstore.conversations"))
  end)

  it("by a row's lock gives busy on time, in a transaction too", function()
    local database = place()
    local store = database:open({ timeout = 0.5 })
    local chat = assert(store:user("alice"):conversation("a"))
    local other = assert(store:user("alice"):conversation("b"))
    local holder = psql.new(database.admin_url)
    finally(function() holder:close() end)
    holder:run("BEGIN; SELECT 1 FROM convstore.conversations WHERE key = 'a' FOR UPDATE")
    local took = timed(function() check.fails("busy", nil, chat:append("user", "x")) end)
    assert_between(0.4, 1.5, took)
    assert.is_true(store:transaction(function()
      assert(other:append("user", "y"))
      took = timed(function() check.fails("busy", nil, chat:append("user", "x")) end)
      assert(other:append("user", "z"))
      return true
    end))
    assert_between(0.4, 1.5, took)
    assert.equal(2, #assert(other:history()))
    holder:run("ROLLBACK")
    assert.equal(1, assert(chat:append("user", "x")).seq)
  end)

  it("of the network gives timeout or unavailable on time, and the same id stores once", function()
    local database, network = place()
    local store = database:open({ timeout = 0.7 })
    local chat = assert(store:user("alice"):conversation("a"))
    network:stall()
    local took, id = timed(function()
      local _, _, code, id = chat:append("user", "x")
      assert.is_true(code == "timeout" or code == "unavailable", tostring(code))
      return id
    end)
    assert_between(0.6, 1.7, took)
    took = timed(function() check.fails("unavailable", nil, database:try_open({ timeout = 0.5 })) end)
    assert_between(0.4, 1.5, took)
    network:flow()
    assert.equal(1, assert(chat:append("user", "x", { id = id })).seq)
    assert.equal(1, assert(chat:append("user", "x", { id = id })).seq)
    database:assert_sound()
  end)

  it("of a slow network is none", function()
    local database, network = place()
    local chat = assert(database:open():user("alice"):conversation("a"))
    network:delay(25)
    local took = timed(function()
      for i = 1, 10 do
        assert.equal(i, assert(chat:append("user", "x")).seq)
      end
    end)
    -- Ten round trips of 50 ms.
    assert_between(0.5, 1.0, took)
  end)
end)

describe("what no waiting changes #postgres #faults", function()
  after_each(clean)

  -- Opening fails at once with this code, though the timeout is long.
  local function at_once(code, pattern, dsn, options)
    options = options or {}
    options.timeout = 30
    local took, message = timed(function()
      local _, message = check.fails(code, pattern, convstore.open(dsn, options))
      return message
    end)
    assert_between(0, 2, took)
    return message
  end

  it("is told at once by a failing open", function()
    local right = os.getenv("CONVSTORE_TEST_POSTGRES_PASSWORD_URL")
    if not right then
      return pending("the server of CONVSTORE_TEST_POSTGRES_URL has no logins of ours")
    end
    local url = postgresql.place().dsn
    at_once("denied", "password", (right:gsub("open%%20sesame", "wrong")))
    at_once("denied", "password", (right:gsub(":open%%20sesame", "")))
    at_once("denied", "nobody_here", (url:gsub("postgres@", "nobody_here@")))
    at_once("denied", "no_such_database", (url:gsub("/[^/]*$", "/no_such_database")))
    at_once("denied", "SSL", url .. "?sslmode=require")
    at_once("denied", nil, (url:gsub("postgres@", "bot_guest@")))
    local plain = os.getenv("CONVSTORE_TEST_POSTGRES_GUEST_URL")
    at_once("denied", nil, plain)
    -- The right password is taken, and refused for what it may not do.
    at_once("denied", nil, right)
  end)

  it("keeps the password to itself", function()
    local url = os.getenv("CONVSTORE_TEST_POSTGRES_PASSWORD_URL")
    if not url then
      return pending("the server of CONVSTORE_TEST_POSTGRES_URL has no logins of ours")
    end
    local message = at_once("denied", nil, (url:gsub("open%%20sesame", "hunter2")))
    assert.is_nil(message:find("hunter2", 1, true))
    message = at_once("invalid", nil, (url:gsub("open%%20sesame", "hunter2")) .. "?nonsense=1")
    assert.is_nil(message:find("hunter2", 1, true))
  end)

  it("is told at once for a DSN that libpq cannot read", function()
    at_once("invalid", nil, "postgresql://postgres@127.0.0.1/bots?nonsense=1")
    at_once("invalid", nil, "postgresql://postgres@127.0.0.1:99999/bots")
    at_once("invalid", nil, "postgresql://postgres@127.0.0.1/bots?sslmode=maybe")
    at_once("invalid", nil, "postgres:host=127.0.0.1 port")
  end)

  it("is told at once in mid-run", function()
    local database, network = place()
    local store = database:open({ timeout = 30 })
    local chat = assert(store:user("alice"):conversation("a"))
    database:sql("REVOKE ALL ON ALL TABLES IN SCHEMA convstore FROM convstore_user")
    local took = timed(function() check.fails("denied", nil, chat:append("user", "x")) end)
    assert_between(0, 2, took)
    database:sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA convstore TO convstore_user")
    assert(chat:append("user", "x"))
    -- The login is refused when a connection has to be made anew.
    local elsewhere, name = postgresql.place(), database.server_database.name
    elsewhere:sql(("ALTER DATABASE %s ALLOW_CONNECTIONS false"):format(name))
    network:kill()
    took = timed(function() check.fails("denied", nil, chat:append("user", "y")) end)
    elsewhere:sql(("ALTER DATABASE %s ALLOW_CONNECTIONS true"):format(name))
    assert_between(0, 2, took)
    assert.equal(2, assert(chat:append("user", "y")).seq)
  end)

  it("is readonly on a server that takes no writes", function()
    local database, network = place()
    local store = database:open({ timeout = 1 })
    local chat = assert(store:user("alice"):conversation("a"))
    local name = database.server_database.name
    database:sql(("ALTER DATABASE %s SET default_transaction_read_only = on"):format(name))
    network:kill()
    check.fails("readonly", nil, chat:append("user", "x"))
    check.fails("readonly", nil, store:user("alice"):conversation("b"))
    assert.equal(0, #assert(chat:history()))
    database:sql("SET default_transaction_read_only = off")
    database:sql(("ALTER DATABASE %s RESET default_transaction_read_only"):format(name))
    -- As after a failover: the library connects again by itself.
    assert.equal(1, assert(chat:append("user", "x")).seq)
  end)
end)

describe("contention #postgres #faults", function()
  after_each(clean)

  it("that the server answers with serialization failures is retried", function()
    local database = postgresql.place()
    database:open():close()
    database:sql(("ALTER DATABASE %s SET default_transaction_isolation = 'serializable'"):format(
      database.server_database.name))
    local workers = {}
    assert(database:open():user("alice"):conversation("k"))
    for i = 1, 4 do
      workers[i] = database:start("append", { "k", 50, "process" .. i })
    end
    for _, worker in ipairs(workers) do
      assert.equal("ready", worker:line())
    end
    for _, worker in ipairs(workers) do
      worker:tell("go")
    end
    for _, worker in ipairs(workers) do
      local _, ok, errors = worker:finish()
      assert.is_true(ok, errors)
    end
    assert.equal("200|200\n", database:sql("SELECT count(*), max(seq) FROM convstore.messages"))
    database:assert_sound()
  end)
end)
