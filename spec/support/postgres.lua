-- PostgreSQL for spec/support/backends.lua: one entry for each way to log in, and empty databases on a real server.
-- tools/with_postgres starts the server and says by the environment where it is.
--
-- One decision shaped it: a test gets a whole database with nothing in it, so every spec opens its DSN without other
-- options and workers need to know no more than it. Making one costs more than most tests take, so a database whose
-- test is over is emptied and used again; at the end of the run all are dropped.
local busted = require "busted"
local system = require "system"
local convstore = require "convstore"
local shell = require "spec.support.shell"
local psql = require "spec.support.psql"

local postgres = {}

local LOGINS = {
  { name = "postgres", variable = "CONVSTORE_TEST_POSTGRES_URL" }, -- a superuser; it also looks after the databases
  { name = "postgres_socket", variable = "CONVSTORE_TEST_POSTGRES_SOCKET_URL" },
  { name = "postgres_owner", variable = "CONVSTORE_TEST_POSTGRES_OWNER_URL", owner = "bot_owner" },
  { name = "postgres_pgbouncer", variable = "CONVSTORE_TEST_PGBOUNCER_URL" },
}

local EMPTY = [[
SET lock_timeout = '20s';
SET default_transaction_read_only = off;
SELECT format('ALTER DATABASE %I RESET ALL', current_database()) \gexec
SET client_min_messages = 'warning';
SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \gexec
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
]]

-- Every row of every table, and what the tables are like.
local DUMP = [[
SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
  FROM information_schema.columns WHERE table_schema !~ '^pg_' AND table_schema <> 'information_schema'
 ORDER BY 1, 2, ordinal_position;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid <> 0 ORDER BY 1, 2;
SELECT schemaname, tablename, indexdef FROM pg_indexes WHERE schemaname !~ '^pg_' ORDER BY 1, 2, 3;
SELECT format('COPY (SELECT * FROM %s t ORDER BY t::text) TO STDOUT', oid::regclass) FROM pg_class
 WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
 ORDER BY oid::regclass::text \gexec
]]

-- The URL of another database of the same server and login.
local function with_database(url, name)
  return (url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1))
end

-- What lasts longer than a spec file, at whose end busted forgets the modules that it loaded.
local REGISTRY = "convstore.spec.postgres"
local state = debug.getregistry()[REGISTRY]
if not state then
  state = {
    free = {}, -- by the login's name: databases that no test uses
    all = {},
    admin = psql.new(os.getenv("CONVSTORE_TEST_POSTGRES_URL")), -- a superuser's shell
  }
  debug.getregistry()[REGISTRY] = state
  busted.subscribe({ "suite", "end" }, function()
    for _, database in ipairs(state.all) do
      database.shell:close()
      state.admin:run(("DROP DATABASE IF EXISTS %s WITH (FORCE)"):format(database.name))
    end
    state.admin:close()
    return nil, true
  end)
end

local function make_database(login)
  local name = "convstore_spec_" .. convstore.uuid():sub(-12)
  state.admin:run(("CREATE DATABASE %s%s"):format(name, login.owner and " OWNER " .. login.owner or ""))
  local database = {
    name = name,
    dsn = with_database(os.getenv(login.variable), name),
    admin_url = with_database(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), name),
    shell = psql.new(with_database(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), name)),
  }
  table.insert(state.all, database)
  return database
end

-- What a test's `database` does on PostgreSQL; the rest is that of backends.lua.
local methods = {}

-- What a superuser sees at psql.
function methods:sql(sql)
  return self.server_database.shell:run(sql)
end

function methods.table(_, name)
  return "convstore." .. name
end

function methods:backdate()
  self:sql("UPDATE convstore.conversations SET updated_at = to_timestamp(0.005)")
end

function methods:dump()
  return self.server_database.shell:run(DUMP)
end

-- Waits until the server is done with what came over connections that are lost. Until then it may still carry out a
-- first try, after the second one has been answered.
function methods:settle()
  local before = system.monotime()
  repeat
    local busy = self:sql([[SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
      AND datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle';]])
  until busy == "0\n" or system.monotime() - before > 5
end

-- Keeps everyone else from writing, until release() of what it returns. `mode`: PostgreSQL's name of another lock.
function methods:hold(mode)
  local holder = psql.new(self.admin_url)
  holder:run(("BEGIN; LOCK TABLE convstore.conversations IN %s MODE"):format(mode or "EXCLUSIVE"))
  return { release = function() holder:close() end }
end

-- What the test's stores left is gone and the database free for another test.
function methods:discard()
  local login = self.login
  self.server_database.shell:run(EMPTY)
  state.free[login.name] = state.free[login.name] or {}
  table.insert(state.free[login.name], self.server_database)
end

local function backend_of(login, new)
  local backend = { name = login.name, tags = "#postgres #backend", shared = true, bytes = "bytea" }

  function backend.place()
    local found = table.remove(state.free[login.name] or {}) or make_database(login)
    local self = new(found.dsn, shell.folder())
    self.login, self.server_database, self.admin_url = login, found, found.admin_url
    for name, method in pairs(methods) do
      self[name] = method
    end
    if login.owner then
      -- The tables of the bot that a test makes are made by its administrator, and are the bot's own all the same.
      self:sql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO " .. login.owner)
    end
    return self
  end

  function backend.fresh(options)
    local self = backend.place()
    return self:open(options), self
  end

  return backend
end

-- A shell of another login in a test's database. The caller closes it.
function postgres.shell(database, login)
  return psql.new((database.admin_url:gsub("//[^@]*@", "//" .. login .. "@", 1)))
end

-- Whether there is a server to test on.
function postgres.is_there()
  return os.getenv("CONVSTORE_TEST_POSTGRES_URL") ~= nil
end

-- The entries whose server there is. `new(dsn, folder)` makes a database in the sense of backends.lua.
function postgres.backends(new)
  local list = {}
  for _, login in ipairs(LOGINS) do
    if os.getenv(login.variable) then
      list[#list + 1] = backend_of(login, new)
    end
  end
  return list
end

return postgres
