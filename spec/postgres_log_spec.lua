-- What a program is told of a bad network and of a server that has its own mind, and that nothing of it goes elsewhere.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local events = require "spec.support.events"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local proxy = require "spec.support.proxy"
local shell = require "spec.support.shell"

if not postgres.is_there() then return end

local postgresql = backends.postgres

describe("the log of PostgreSQL #postgres #faults", function()
  local log

  before_each(function() log = events.new() end)
  after_each(function()
    proxy.clean()
    backends.clean()
  end)

  -- A conversation; its DSN leads through a proxy. What opening told is forgotten. No call is slow unless asked.
  local function fresh(options)
    local database = postgresql.place()
    local network = proxy.start(database.dsn)
    database.dsn = network:dsn(database.dsn)
    options = options or {}
    options.log, options.slow_ms = log.write, options.slow_ms or 60000
    local store = database:open(options)
    local chat = assert(store:user("alice"):conversation("k"))
    log:clear()
    return chat, database, network, store
  end

  -- A host's own trigger on our messages, whose body is `body`. It can count by the sequence, also where it is undone.
  local function trigger(database, body)
    database:sql(([[
      CREATE SEQUENCE public.numbers;
      GRANT ALL ON SEQUENCE public.numbers TO PUBLIC;
      CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN %s; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE INSERT ON convstore.messages
        FOR EACH ROW EXECUTE FUNCTION public.meddle()]])
      :format(body))
  end

  it("is told that a connection was lost, why, and that there is one again", function()
    local chat, database, network = fresh()
    for round = 1, 2 do
      if round == 1 then
        network:kill()
      else
        database:sql([[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()]])
      end
      assert.equal(round, assert(chat:append("user", "x")).seq)
      assert.equal("lost/append reconnect/append", log:names())
      local lost, again = log:only("lost"), log:only("reconnect")
      assert.equal("unavailable", lost.code)
      assert.equal(1, again.attempt)
      assert.is_true(again.elapsed_ms >= 0)
      local why = lost.message:match("^the connection to PostgreSQL was lost: (.+)$")
      assert.is_string(why)
      assert.truthy(again.message:find(why, 1, true), again.message)
      log:clear()
      assert(chat:append_many({}))
      assert.equal("", log:names())
    end
  end)

  it("is told which try at last came through", function()
    local chat, _, network = fresh()
    network:down()
    assert(shell.run(("(sleep 0.5; echo up >%s) >/dev/null 2>&1 &"):format(
      shell.quote(network.folder .. "/commands"))))
    assert.equal(1, assert(chat:append("user", "x")).seq)
    assert(network.answers:read("l") == "ok")
    assert.equal("lost/append reconnect/append", log:names())
    local again = log:only("reconnect")
    assert.is_true(again.attempt > 1, tostring(again.attempt))
    assert.is_true(again.elapsed_ms >= 100, tostring(again.elapsed_ms))
  end)

  it("is told that no connection came about, by a call and by a failing open", function()
    local chat, database, network = fresh({ timeout = 0.5 })
    network:down()
    check.fails("unavailable", nil, chat:append("user", "x"))
    assert.equal("lost/append lost/append", log:names())
    assert.is_true(log[2].attempt > 1)
    assert.equal("unavailable", log[2].code)
    log:clear()
    check.fails("unavailable", nil, database:try_open({ timeout = 0.3, log = log.write, slow_ms = 60000 }))
    assert.equal("lost/open", log:names())
  end)

  it("is told that an answer did not come, and of the connection that follows", function()
    local chat, _, network = fresh({ timeout = 0.4, slow_ms = 200 })
    network:stall()
    check.fails("timeout", nil, chat:append("user", "x"))
    network:flow()
    assert.equal("lost/append slow/append", log:names())
    assert.equal("timeout", log:only("lost").code)
    assert.equal("timeout", log:only("slow").code)
    log:clear()
    assert(chat:append("user", "y"))
    assert.equal("reconnect/append", log:names())
  end)

  it("is told of each run that the server undid", function()
    for _, sqlstate in ipairs({ "40001", "40P01" }) do
      local chat, database = fresh()
      trigger(database, ([[IF nextval('public.numbers') <= 2 THEN
        RAISE EXCEPTION 'others were faster' USING ERRCODE = '%s'; END IF]]):format(sqlstate))
      assert.equal(1, assert(chat:append("user", "x")).seq)
      assert.equal("retry/append retry/append", log:names())
      for attempt, event in ipairs(log:of("retry")) do
        assert.equal(attempt, event.attempt)
        assert.equal(sqlstate, event.sqlstate)
        assert.equal("busy", event.code)
        assert.equal("append_message", event.statement)
        assert.truthy(event.message:find("others were faster", 1, true))
      end
      log:clear()
      assert(chat:append("user", "y"))
      assert.equal("", log:names())
      proxy.clean()
      backends.clean()
    end
  end)

  it("is told once that prepared statements are given up", function()
    local chat, database = fresh()
    trigger(database, "EXECUTE 'DEALLOCATE ALL'")
    assert.equal(1, assert(chat:append("user", "x")).seq)
    assert.equal(2, assert(chat:append("user", "y")).seq)
    assert.equal(3, assert(chat:append("user", "z")).seq)
    assert.equal("fallback/append", log:names())
    local event = log:only("fallback")
    assert.equal("26000", event.sqlstate)
    assert.equal("unsupported", event.code)
    assert.is_string(event.statement)
    assert.truthy(event.message:find("without prepared statements", 1, true))
  end)

  it("is told the server's notices: severity and words, no details", function()
    local chat, database = fresh()
    trigger(database, [[
      RAISE NOTICE 'a host''s notice' USING DETAIL = NEW.content, HINT = NEW.content;
      RAISE WARNING 'and a warning' USING ERRCODE = '01004', DETAIL = NEW.content]])
    assert(chat:append("user", "secret"))
    local notices = log:of("notice")
    assert.equal("notice/append notice/append", log:names())
    assert.equal("NOTICE: a host's notice", notices[1].message)
    assert.equal("00000", notices[1].sqlstate)
    assert.equal("WARNING: and a warning", notices[2].message)
    assert.equal("01004", notices[2].sqlstate)
    assert.is_nil(log:text():find("secret", 1, true))
  end)

  it("is told how many notices found no room, and of what else happened all the same", function()
    local chat, database = fresh({ slow_ms = 0 })
    trigger(database, "FOR i IN 1 .. 100 LOOP RAISE NOTICE 'number %', i; END LOOP")
    assert(chat:append("user", "x"))
    local notices = log:of("notice")
    assert.is_true(#notices >= 10 and #notices < 100)
    assert.equal("NOTICE: number 1", notices[1].message)
    assert.equal("append", log:only("slow").call)
    assert.equal(100 - #notices, log:only("dropped").count)
    assert.equal("dropped", log[#log].event)
  end)

  it("leaves standard error empty without a function, and with one", function()
    local _, database = fresh()
    trigger(database, "RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'")
    for _, job in ipairs({ "append", "append_logging" }) do
      local worker = process.start(database.folder, job, { database.dsn, "k", 3, "x" })
      assert.equal("ready", worker:line())
      worker:tell("go")
      local output, ok, errors = worker:finish()
      assert.equal("", errors)
      assert.is_true(ok)
      assert.equal(job == "append" and "" or ("notice\n"):rep(6), output)
    end
    assert.equal(6, database:count("messages"))
  end)

  it("is never told the password", function()
    local url = os.getenv("CONVSTORE_TEST_POSTGRES_PASSWORD_URL")
    if not url then
      return pending("the server of CONVSTORE_TEST_POSTGRES_URL has no logins of ours")
    end
    local network = proxy.start(url)
    local function open(dsn)
      local store = convstore.open(dsn, { log = log.write, slow_ms = 0, timeout = 2, migrate = false,
        role = false })
      if store then
        assert(store:schema_version())
        network:kill()
        assert(store:schema_version())
        network:down()
        check.fails("unavailable", nil, store:schema_version())
        network:up()
        assert(store:close())
      end
      return store
    end
    assert.is_not_nil(open(network:dsn(url)))
    assert.is_true(#log:of("lost") >= 3 and #log:of("reconnect") >= 1)
    assert.is_nil(open((network:dsn(url):gsub("open%%20sesame", "hunter2"))))
    assert.is_nil(open((network:dsn(url):gsub("open%%20sesame", "hunter2")) .. "?sslmode=require"))
    local text = log:text()
    assert.is_true(#text > 0)
    for _, secret in ipairs({ "sesame", "hunter2" }) do
      assert.is_nil(text:find(secret, 1, true), text)
    end
  end)

  it("is told in a transaction that it is lost, after the call that lost it", function()
    local chat, _, network, store = fresh()
    check.fails("unavailable", nil, store:transaction(function()
      assert(chat:append("user", "x"))
      assert.equal("", log:names())
      network:kill()
      check.fails("unavailable", nil, chat:append("user", "y"))
      assert.equal("lost/append", log:names())
      return true
    end))
    log:clear()
    assert.equal(1, assert(chat:append("user", "z")).seq)
    assert.equal("reconnect/append", log:names())
  end)
end)
