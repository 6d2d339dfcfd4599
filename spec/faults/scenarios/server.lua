-- PostgreSQL under clients that all send each unit twice at once, by two processes: its server processes are terminated
-- every 25 ms, one is killed by SIGKILL now and then, after which the server starts all anew, and else the server is
-- stopped as by a power cut. Both twins must be told the same seq. In each second round they come by PgBouncer.
local places = require "spec.faults.place"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local system = require "system"

local CLIENTS, UNITS = 5, 40
local SECONDS_BETWEEN_KILLS = 0.025

-- Kills for a while, inside the server, since a round trip from here may take longer than the time between two kills.
local KILLER = [[
CREATE FUNCTION pg_temp.kill_for(seconds float8) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    killed bigint := 0;
    turn timestamptz := clock_timestamp();
    until timestamptz := turn + seconds * interval '1 second';
  BEGIN
    WHILE turn < until LOOP
      PERFORM pg_stat_clear_snapshot();
      killed := killed + (SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
        WHERE datname = '%s' AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS victim);
      turn := turn + interval '%g seconds';
      PERFORM pg_sleep_until(turn);
    END LOOP;
    RETURN killed;
  END $$]]

return {
  name = "server",
  databases = { "postgres" },
  share = 4,
  plan = { users = 1, keys = 3 },
  run = function(run)
    local source = run.source
    local control = os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL")
    local bouncer = os.getenv("CONVSTORE_TEST_PGBOUNCER_URL")
    local restarts, crashes, behind_pgbouncer = 0, 0, 0
    local place = run:open()
    -- Stopping the server ends every psql, so the one that kills is made again.
    local function arm()
      place.admin:run(KILLER:format(place.name, SECONDS_BETWEEN_KILLS))
    end
    local function kill_for(seconds)
      run.kills = run.kills + tonumber(place.admin:run(("SELECT pg_temp.kill_for(%g)"):format(seconds)))
    end
    local first = 1
    run:finish(run:start(CLIENTS + 1, 1, 20)) -- so that the schema and the conversations are there
    arm()
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      local twins, dsn = {}, place.dsn
      if bouncer and run.rounds % 2 == 0 then
        dsn, behind_pgbouncer = places.with_database(bouncer, place.name), behind_pgbouncer + 1
      end
      for client = 1, CLIENTS do
        local pipes = { ("%s/%d.%d.a"):format(place.folder, run.rounds, client),
          ("%s/%d.%d.b"):format(place.folder, run.rounds, client) }
        assert(shell.run("mkfifo " .. shell.quote(pipes[1]) .. " " .. shell.quote(pipes[2])))
        for twin = 1, 2 do
          twins[#twins + 1] = run:start(client, first, first + UNITS - 1,
            ("timeout=60,gate,meet=%s;%s"):format(pipes[twin], pipes[3 - twin]), { dsn = dsn })
        end
      end
      for _, twin in ipairs(twins) do assert(run:hear(twin) == "ready", "a writer did not start") end
      for _, twin in ipairs(twins) do twin:tell("go") end
      kill_for(source:int(100, 700) / 1000)
      if control then
        if run.rounds % 3 == 0 then
          -- One server process dies without a word; the others are stopped by their parent, for fear of torn memory.
          local pid = place.admin:run(([[SELECT pid FROM pg_stat_activity WHERE datname = '%s'
            AND backend_type = 'client backend' ORDER BY random() LIMIT 1]]):format(place.name)):match("%d+")
          if pid and shell.run("kill -9 " .. pid) then crashes = crashes + 1 end
          psql.close_all()
          assert(shell.run("sleep 0.2"))
          local deadline = system.monotime() + 60
          while not pcall(place.admin.run, place.admin, "SELECT 1") do
            assert(system.monotime() < deadline, "the server does not come back")
            system.sleep(0.1)
          end
        else
          psql.close_all()
          assert(shell.run(shell.quote(control) .. " restart immediate"))
          restarts = restarts + 1
        end
        arm()
      end
      kill_for(source:int(100, 700) / 1000)
      for _, twin in ipairs(twins) do run:finish(twin) end
      first = first + UNITS
    end
    local failures = 0
    for _, n in pairs(run.log.failures) do failures = failures + n end
    run:note("%d clients, each twice, %d rounds of them behind PgBouncer", CLIENTS, behind_pgbouncer)
    run:note("%d power cuts; %d crashes; %d calls failed and were sent again; slowest %.1f s", restarts,
      crashes, failures, run.log.slowest)
    -- PgBouncer keeps its connections.
    place.admin:run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '"
      .. place.name .. "'")
    run:judge()
  end,
}
