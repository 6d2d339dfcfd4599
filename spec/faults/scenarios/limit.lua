-- No file may grow beyond a limit (ulimit -f), as quotas and containers have it: that of the process that writes to
-- SQLite, or of PostgreSQL's server. What is refused must not be there, and once the limit is gone all must go on.
local machine = require "spec.faults.machine"
local places = require "spec.faults.place"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"

local function until_refused(run, before)
  local durability = run.source:chance(50) and "normal" or "full"
  local writer = run:start(1, 1, run.FOREVER, durability .. ",timeout=3,pause", { before = before })
  repeat local line = run:hear(writer) until not line or line == "refused"
  run:kill(writer)
  return run:bury(writer) or 1
end

-- PostgreSQL ignores the signal by itself. Its log's files have 16 MiB, so a table must grow beyond that.
local function postgres_round(run)
  local folder = shell.folder()
  assert(shell.run("chmod 755 " .. shell.quote(folder)))
  local server = machine.server(folder, "ulimit -f 33000")
  run:open({ place = places.postgres(server.url), plan = { seed = run.seed + run.rounds, long = 80 } })
  local last = until_refused(run)
  -- pg_ctl from here has no such limit.
  psql.close_all()
  assert(server.run("restart fast"))
  run:recovers(1, last)
  run:judge()
  server.close()
  shell.remove(folder)
end

local function sqlite_round(run)
  run:open({ plan = { seed = run.seed + run.rounds } })
  local last = until_refused(run, ("trap '' XFSZ && ulimit -f %d"):format(run.source:int(300, 4000)))
  run:recovers(1, last)
  run:judge()
end

return {
  name = "limit",
  databases = { "sqlite", "postgres" },
  share = 2,
  plan = { users = 1, keys = 3, long = 10 },
  missing = function(dialect)
    if dialect == "postgres" and not os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL") then
      return "the server is not ours"
    end
  end,
  run = function(run)
    local refused = {}
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      if run.dialect == "sqlite" then sqlite_round(run) else postgres_round(run) end
      for code, n in pairs(run.log.failures) do refused[code] = (refused[code] or 0) + n end
    end
    for code, n in pairs(refused) do run:note("%d times %s", n, code) end
    for code in pairs(refused) do
      if code ~= "full" then run:fail("expected full, got %s", code) end
    end
    if not refused.full then run:fail("the limit was never met") end
  end,
}
