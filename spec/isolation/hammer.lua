-- Several users on one database at once, each looking at every row for its owner (owner.lua): tools/with_postgres
-- lua5.4 spec/isolation/hammer.lua [SECONDS [USERS [DATABASES]]], or make isolation. DATABASES, of: sqlite (one file, a
-- process each), pgbouncer (its shared connections in transaction mode, as a superuser's login that takes on the role),
-- pgbouncer_statements (the same with role = false: the statements alone tell users apart), pgbouncer_claim (the user
-- comes from a claim). Meanwhile backends are ended, and somebody without a user looks at what a connection still knows
-- of the one before. CONVSTORE_ISOLATION_PLANT, for the spec: gives the rows of one user to another in the middle of
-- it.
local convstore = require "convstore"
local process = require "spec.support.process"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local system = require "system"

local SECONDS = tonumber(arg[1] or 60)
local USERS = math.tointeger(arg[2] or 4)
local DATABASES = arg[3] or "sqlite pgbouncer pgbouncer_statements pgbouncer_claim"
local PLANT = os.getenv("CONVSTORE_ISOLATION_PLANT")
local SECONDS_BETWEEN_KILLS = 0.2
local SECONDS_OF_PATIENCE = 300 -- then a user stops without being told to
local seed = os.time()

local failed = 0
local function complain(...)
  failed = failed + 1
  print(string.format(...))
end

-- The names differ in their last letter alone.
local function name_of(i) return "user" .. string.char(("a"):byte() + i - 1) end

-- Who uses the pooled connections without being anybody: must be nobody, whoever had them before.
local NOBODY = [[
SELECT current_user || '/' || coalesce(current_setting('convstore.user_id', true), '') || '/'
  || coalesce(current_setting('request.jwt.claims', true), '') || '/' || current_setting('search_path');
BEGIN; SET LOCAL ROLE convstore_user; SELECT count(*) FROM convstore.messages; COMMIT;]]
local EXPECTED = 'postgres///"$user", public\n0\n'

-- Ends backends and looks at the pool until the time is over; how often each was done, and the shell that did it.
local function disturb(url, pooled_url, seconds)
  local admin, nobody = psql.new(url), psql.new(pooled_url)
  local killed, looks = 0, 0
  local over = system.monotime() + seconds
  while system.monotime() < over do
    local answer = admin:run([[SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      ORDER BY random() LIMIT 1) AS victim]])
    killed = killed + tonumber(answer:match("(%d+)\n$"))
    for _ = 1, 5 do
      local ok, seen = pcall(nobody.run, nobody, NOBODY)
      if ok and seen ~= EXPECTED then complain("somebody without a user saw %q", seen) end
      if ok then looks = looks + 1 end
    end
    system.sleep(SECONDS_BETWEEN_KILLS)
  end
  nobody:close()
  return killed, looks, admin
end

-- Which server process served whom: that the connections really were shared.
local SERVED = [[
CREATE TABLE public.served (pid integer, user_id text);
GRANT INSERT ON public.served TO PUBLIC;
CREATE FUNCTION public.serve() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.served VALUES (pg_backend_pid(), NEW.user_id);
  RETURN NULL;
END $$;
CREATE TRIGGER serve AFTER UPDATE ON convstore.conversations FOR EACH ROW EXECUTE FUNCTION public.serve();]]

-- By plain SQL, at the end: texts that are not their user's.
local function foreign_rows(messages, conversations)
  return ("SELECT count(*) FROM %s WHERE content NOT LIKE 'owner:' || user_id || ';%%';\n"
    .. "SELECT count(*) FROM %s WHERE title NOT LIKE 'owner:' || user_id || ';%%';"):format(messages,
    conversations)
end

local function plant(conversations)
  return ("UPDATE %s SET title = 'owner:userb; foreign' WHERE user_id = 'usera';"):format(conversations)
end

local function start(folder, dsn, options)
  local workers = {}
  for i = 1, USERS do
    workers[i] = process.start(folder, "own", { dsn, name_of(i), folder .. "/stop",
      SECONDS + SECONDS_OF_PATIENCE, seed + i, options })
  end
  for _, worker in ipairs(workers) do assert(worker:line() == "ready") end
  for _, worker in ipairs(workers) do worker:tell("go") end
  return workers
end

local function finish(name, folder, workers)
  shell.write(folder .. "/stop", "")
  local calls, rows, broken = 0, 0, 0
  for i, worker in ipairs(workers) do
    local output, ok, errors = worker:finish()
    local c, r, b = output:match("(%d+) calls, (%d+) rows, (%d+) broken")
    if not ok or not c then complain("%s: %s failed: %s%s", name, name_of(i), output, errors) end
    calls, rows, broken = calls + (tonumber(c) or 0), rows + (tonumber(r) or 0), broken + (tonumber(b) or 0)
  end
  assert(os.remove(folder .. "/stop"))
  if rows == 0 then complain("%s: no row was looked at", name) end
  return calls, rows, broken
end

local function hammer_sqlite(folder)
  local path = folder .. "/shared.db"
  assert(convstore.open(path)):close()
  local workers = start(folder, path, "{ timeout = 60, durability = 'normal' }")
  system.sleep(SECONDS / 2)
  local function at_the_shell(sql)
    shell.write(folder .. "/script.sql", ".timeout 10000\n" .. sql)
    local _, output = shell.run(("env -u LD_PRELOAD sqlite3 -batch %s <%s"):format(shell.quote(path),
      shell.quote(folder .. "/script.sql")))
    return output
  end
  if PLANT then at_the_shell(plant("convstore_conversations")) end
  system.sleep(SECONDS / 2)
  local calls, rows = finish("sqlite", folder, workers)
  local foreign = at_the_shell(foreign_rows("convstore_messages", "convstore_conversations"))
  if foreign ~= "0\n0\n" then complain("sqlite: foreign rows by plain SQL: %s", foreign) end
  print(("%-21s %d users, %d calls, %d rows looked at"):format("sqlite", USERS, calls, rows))
end

local function hammer_pgbouncer(name, folder)
  local url = assert(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), "run this by tools/with_postgres")
  local pooled = os.getenv("CONVSTORE_TEST_PGBOUNCER_URL")
  if not pooled then
    complain("%s: not run, there is no PgBouncer", name)
    return
  end
  local admin = psql.new(url)
  local database = "convstore_isolation_" .. convstore.uuid():sub(-12)
  admin:run("CREATE DATABASE " .. database)
  local function at(place) return (place:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. database, 1)) end
  local options = "timeout = 60, durability = 'normal'"
  if name == "pgbouncer_statements" then options = options .. ", role = false" end
  local claim = name == "pgbouncer_claim" and "sub" or nil
  assert(convstore.open(at(url), { jwt_claim = claim })):close()
  -- For one thing each: whoever stays connected is among those that are ended.
  local function at_the_shell(sql)
    local judge = psql.new(at(url))
    judge:run(sql)
    judge:close()
  end
  at_the_shell(SERVED)
  local workers = start(folder, at(pooled), "{ " .. options .. " }")
  local killed, looks, first = disturb(at(url), at(pooled), SECONDS / 2)
  first:close()
  if PLANT then at_the_shell(plant("convstore.conversations")) end
  local more_killed, more_looks, judge = disturb(at(url), at(pooled), SECONDS / 2)
  local calls, rows, broken = finish(name, folder, workers)
  local shared = tonumber(judge:run("SELECT count(*) FROM (SELECT pid FROM public.served GROUP BY pid"
    .. " HAVING count(DISTINCT user_id) > 1) AS s"))
  local foreign = judge:run(foreign_rows("convstore.messages", "convstore.conversations"))
  judge:close()
  if foreign ~= "0\n0\n" then complain("%s: foreign rows by plain SQL: %s", name, foreign) end
  if shared == 0 then complain("%s: no connection was shared", name) end
  if looks + more_looks == 0 then complain("%s: nobody looked", name) end
  print(("%-21s %d users, %d calls (%d broken off), %d rows looked at, %d looks without a user; %d backends"
    .. " ended, %d served more than one user"):format(name, USERS, calls, broken, rows, looks + more_looks,
    killed + more_killed, shared))
  admin:run(("DROP DATABASE %s WITH (FORCE)"):format(database))
  admin:close()
end

io.stdout:setvbuf("line")
print("seed " .. seed)
local passed = 0
for name in DATABASES:gmatch("%S+") do
  local folder, before = shell.folder(), failed
  if name == "sqlite" then
    hammer_sqlite(folder)
  else
    hammer_pgbouncer(name, folder)
  end
  shell.remove(folder)
  if failed == before then passed = passed + 1 end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
