-- Behind a pooler that gives every transaction some server connection: what one client leaves there, another finds.
-- The contract itself runs behind it by `make test-pgbouncer`.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local events = require "spec.support.events"
local psql = require "spec.support.psql"

local pooled = backends.postgres_pgbouncer
if not pooled then return end

-- What a session can carry over, as a client finds it that comes next.
local LEFT = [[
  SELECT current_user, session_user, current_setting('role'), current_setting('convstore.user_id', true),
         current_setting('request.jwt.claims', true), current_setting('lock_timeout'),
         current_setting('statement_timeout'), current_setting('synchronous_commit'),
         current_setting('search_path'), current_setting('transaction_isolation'),
         current_setting('transaction_read_only'), current_setting('row_security'),
         pg_current_xact_id_if_assigned(), (SELECT count(*) FROM pg_listening_channels()),
         (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
         (SELECT count(*) FROM pg_class WHERE relpersistence = 't')]]

describe("behind PgBouncer #postgres #pgbouncer", function()
  local shells = {}

  after_each(function()
    for _, shell in ipairs(shells) do shell:close() end
    shells = {}
    backends.clean()
  end)

  local function place()
    local database = pooled.place()
    local clients = {}
    for i = 1, 3 do
      clients[i] = psql.new(database.dsn)
      shells[#shells + 1] = clients[i]
    end
    return database, clients
  end

  -- What three clients find at once: more sessions than the pooler has needed so far.
  local function look(clients)
    local found = {}
    for i, client in ipairs(clients) do
      found[i] = client:run("BEGIN; " .. LEFT)
    end
    for _, client in ipairs(clients) do
      client:run("ROLLBACK")
    end
    return table.concat(found)
  end

  it("no setting and no lock is left to the next client, however a call ended", function()
    local database, clients = place()
    local before = look(clients)
    -- A setting of ours that was never there reads as NULL and, once it was set in a transaction, as "": both print so.
    local function assert_clean(what)
      assert.equal(before, look(clients), what)
    end
    local store = database:open({ timeout = 0.5, durability = "normal" })
    assert_clean("open")
    local chat = assert(store:user("alice"):conversation("k"))
    assert_clean("conversation")
    local id = assert(chat:append("user", "x")).id
    assert_clean("append")
    check.fails("conflict", nil, chat:append("user", "y", { id = id }))
    assert_clean("conflict")
    check.fails("conflict", nil, chat:append("user", "y", { expect = 7 }))
    assert_clean("expect")
    check.fails("not_found", nil, chat:message(7))
    assert_clean("not_found")
    assert(chat:append_many({ { role = "user", content = "a" }, { role = "user", content = "b" } }))
    assert(#assert(chat:history()) == 3)
    assert(chat:annotate(1, { a = 1 }))
    assert(chat:redact(2))
    assert_clean("writes")
    assert(store:transaction(function()
      assert(chat:append("user", "x"))
      return true
    end))
    assert_clean("transaction")
    pcall(store.transaction, store, function()
      assert(chat:append("user", "x"))
      error("boom")
    end)
    assert_clean("rollback")
    local holder = database:hold()
    check.fails("busy", nil, chat:append("user", "x"))
    holder:release()
    assert_clean("busy")
    assert(store:migrate(0))
    assert_clean("migrate down")
    assert(store:migrate())
    assert_clean("migrate up")
    store:close()
    assert_clean("close")
  end)

  it("a transaction that its process did not live to end is not left to the next client", function()
    local database, clients = place()
    local before = look(clients)
    database:open():close()
    local worker = database:start("hold")
    assert.equal("locked", worker:line())
    worker:kill()
    worker:finish()
    assert.equal(before, look(clients))
  end)

  it("many clients of many users share few connections and never each other's rows", function()
    local database = place()
    local stores, chats = {}, {}
    for i = 1, 12 do
      stores[i] = database:open()
      chats[i] = assert(stores[i]:user("user " .. i):conversation("k"))
    end
    for round = 1, 10 do
      for i, chat in ipairs(chats) do
        assert.equal(round, assert(chat:append("user", ("user %d round %d"):format(i, round))).seq)
        local other = chats[i % #chats + 1]
        check.fails("not_found", nil, stores[i]:user("user " .. i):get(other.id))
      end
      for i, chat in ipairs(chats) do
        local history = assert(chat:history())
        assert.equal(round, #history)
        assert.equal(("user %d round %d"):format(i, round), history[round].content)
      end
    end
    local n = tonumber(database:sql("SELECT count(*) FROM pg_stat_activity WHERE application_name <> 'psql'"
      .. " AND datname = current_database()"))
    assert.is_true(n <= 2, n .. " connections")
  end)

  it("prepared statements that another client made are no hindrance", function()
    local database, clients = place()
    local log = events.new()
    local first = database:open({ log = log.write })
    local chat = assert(first:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    log:clear()
    -- What the first one prepared is there for the second, or gone, as the pooler likes.
    for _ = 1, 3 do
      local second = database:open({ log = log.write })
      local again = assert(second:user("alice"):conversation("k"))
      assert(again:append("user", "y"))
      clients[1]:run("DEALLOCATE ALL")
      assert(again:append("user", "z"))
      assert(chat:append("user", "x"))
      assert(#assert(again:history()) == again.last_seq + 1)
      second:close()
    end
    assert.equal("10|10\n", database:sql("SELECT count(*), max(seq) FROM convstore.messages"))
    -- Whoever fell back, did so once and said it.
    local fallbacks = log:of("fallback")
    assert.is_true(#fallbacks >= 1 and #fallbacks <= 4, log:text())
    assert.equal(#fallbacks, #log, log:text())
  end)

  it("two open transactions have two connections", function()
    local database = place()
    local one, two = database:open(), database:open()
    local first = assert(one:user("alice"):conversation("1"))
    local second = assert(two:user("bob"):conversation("2"))
    assert(one:transaction(function()
      assert(first:append("user", "x"))
      assert(two:transaction(function()
        assert(second:append("user", "y"))
        assert(first:append("user", "z"))
        check.fails("not_found", nil, two:user("bob"):get(first.id))
        return true
      end))
      return true
    end))
    assert.equal(2, assert(first:refresh()).last_seq)
    assert.equal(1, assert(second:refresh()).last_seq)
  end)

  it("a plain DSN with prepare = false or true says what it does", function()
    local database = place()
    for _, prepare in ipairs({ false, "auto" }) do
      local store = database:open({ prepare = prepare })
      local chat = assert(store:user("alice"):create())
      for i = 1, 5 do
        assert.equal(i, assert(chat:append("user", convstore.uuid())).seq)
      end
    end
  end)
end)
