-- Many clients, every message sent twice at once, and a server that keeps losing them:
-- tools/with_postgres lua5.4 spec/stress/postgres.lua [CLIENTS [APPENDS [RESTARTS]]], or make stress-postgres.
-- For the whole run a server process is killed every 25 ms, and RESTARTS times the server is stopped as by a power cut.
-- Then plain SQL judges: what was acknowledged is there once, with the acknowledged seq, and no seq is missing.
local convstore = require "convstore"
local system = require "system"
local process = require "spec.support.process"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"

local CLIENTS = math.tointeger(arg[1] or 16)
local APPENDS = math.tointeger(arg[2] or 1000)
local RESTARTS = math.tointeger(arg[3] or 2)
local CONVERSATIONS = 8
local SECONDS_BETWEEN_KILLS = 0.025
local SECONDS_WITHOUT_PROGRESS = 70 -- more than a client's timeout

local url = assert(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), "run this by tools/with_postgres")
local control = os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL")
local started = system.monotime()
local admin = psql.new(url)
local name = "convstore_stress_" .. convstore.uuid():sub(-12)
admin:run("CREATE DATABASE " .. name)
local dsn = url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1)
local folder = shell.folder()

-- Two twins for each client, all ready before the first goes.
local twins = {}
do
  local store <close> = assert(convstore.open(dsn))
  for i = 1, CONVERSATIONS do
    assert(store:user("alice"):conversation("shared " .. i))
  end
end
for client = 1, CLIENTS do
  local pipes = { ("%s/%d.a"):format(folder, client), ("%s/%d.b"):format(folder, client) }
  assert(shell.run("mkfifo " .. shell.quote(pipes[1]) .. " " .. shell.quote(pipes[2])))
  for twin = 1, 2 do
    local log = ("%s/%d.%d.log"):format(folder, client, twin)
    twins[#twins + 1] = process.start(folder, "twin",
      { dsn, client, APPENDS, CONVERSATIONS, pipes[twin], pipes[3 - twin], log })
  end
end
for _, twin in ipairs(twins) do assert(twin:line() == "ready") end
for _, twin in ipairs(twins) do twin:tell("go") end

-- Sorrow -------------------------------------------------------------------------------------------------------------
-- Kills for a second, inside the server, since a round trip from here may take longer than the time between two kills.
local KILLER = ([[
CREATE FUNCTION pg_temp.kill_for_a_second() RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    killed bigint := 0;
    turn timestamptz := clock_timestamp();
    until timestamptz := turn + interval '1 second';
  BEGIN
    WHILE turn < until LOOP
      PERFORM pg_stat_clear_snapshot();
      killed := killed + (SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
        WHERE datname = '%s' AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS victim);
      turn := turn + interval '%g seconds';
      PERFORM pg_sleep_until(turn);
    END LOOP;
    RETURN killed;
  END $$]]):format(name, SECONDS_BETWEEN_KILLS)
local killed, restarted = 0, 0
admin:run(KILLER)

local function n_acknowledged()
  local _, output = shell.run("cat " .. shell.quote(folder) .. "/*.log | wc -l")
  return assert(tonumber(output), output)
end

local total = #twins * (APPENDS + APPENDS // 10)
local done, progress_at = 0, system.monotime()
while done < total do
  killed = killed + tonumber(admin:run("SELECT pg_temp.kill_for_a_second()"))
  local n_done = n_acknowledged()
  if n_done > done then
    done, progress_at = n_done, system.monotime()
  elseif system.monotime() - progress_at > SECONDS_WITHOUT_PROGRESS then
    -- One has failed and its twin waits for it; the checks below tell more.
    for _, twin in ipairs(twins) do twin:kill() end
    break
  end
  if control and restarted < RESTARTS and done > total * (restarted + 1) // (RESTARTS + 1) then
    psql.close_all()
    assert(shell.run(shell.quote(control) .. " restart immediate"))
    admin:run(KILLER)
    restarted = restarted + 1
  end
end

-- Judgement ----------------------------------------------------------------------------------------------------------
local passed, failed = 0, 0
local function expect(what, expected, actual)
  if expected == actual then
    passed = passed + 1
  else
    failed = failed + 1
    print(("%s: expected %s, got %s"):format(what, expected, actual))
  end
end

for i, twin in ipairs(twins) do
  local _, ok, errors = twin:finish()
  expect("process " .. i, "a good end", ok and "a good end" or errors)
end
local judge = psql.new(dsn)
judge:run("CREATE TEMPORARY TABLE acknowledged (conversation_id uuid, id uuid, seq bigint)")
for client = 1, CLIENTS do
  for twin = 1, 2 do
    judge:run(("\\copy acknowledged FROM '%s/%d.%d.log'"):format(folder, client, twin))
  end
end
local function count(sql)
  return tonumber(judge:run("SELECT count(*) FROM " .. sql))
end
expect("acknowledgements", total, count("acknowledged"))
expect("messages", CLIENTS * APPENDS, count("convstore.messages"))
expect("acknowledged otherwise than stored", 0, count([[acknowledged a LEFT JOIN convstore.messages m
  ON (m.conversation_id, m.id, m.seq) = (a.conversation_id, a.id, a.seq) WHERE m.id IS NULL]]))
expect("messages stored twice", 0,
  count("(SELECT FROM convstore.messages GROUP BY conversation_id, id HAVING count(*) > 1) AS t"))
expect("conversations with a gap or a wrong counter", 0, count([[(SELECT FROM convstore.conversations c
  LEFT JOIN convstore.messages m ON (m.user_id, m.conversation_id) = (c.user_id, c.id)
  GROUP BY c.user_id, c.id HAVING c.last_seq <> count(m.seq) OR c.last_seq <> max(m.seq) OR min(m.seq) <> 1
      OR c.token_count <> count(m.seq) OR max(m.token_total) <> count(m.seq)) AS t]]))
expect("messages of the same client out of order", 0, count([[(SELECT id, lag(id) OVER (
  PARTITION BY conversation_id, left(id::text, 8) ORDER BY seq) AS earlier
  FROM convstore.messages) AS t WHERE earlier > id]]))
judge:close()
admin:run(("DROP DATABASE %s WITH (FORCE)"):format(name))
admin:close()
shell.remove(folder)

local summary = "%d clients, %d appends each, each sent twice: %d processes killed, %d restarts, %.0f s"
print(summary:format(CLIENTS, APPENDS, killed, restarted, system.monotime() - started))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
