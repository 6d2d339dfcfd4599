-- Eight processes open a database that is not there yet, at once, and append. In each second round one is killed while
-- it opens, perhaps in the middle of the schema; the others must be as well off, and so must a ninth that comes later.
-- On PostgreSQL, in each third round, all connections are terminated a few times meanwhile.
local system = require "system"

local PROCESSES, UNITS = 8, 3

return {
  name = "fresh",
  databases = { "sqlite", "postgres" },
  share = 2,
  plan = { users = 2, keys = 2 },
  run = function(run)
    local source, terminated = run.source, 0
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      run:open()
      local writers = {}
      for i = 1, PROCESSES do writers[i] = run:start(i, 1, UNITS, "normal,timeout=60,open") end
      for _, writer in ipairs(writers) do assert(run:hear(writer) == "ready", "a writer did not start") end
      for _, writer in ipairs(writers) do writer:tell("go") end
      if run.rounds % 2 == 0 then
        system.sleep(source:int(0, 60) / 1000)
        run:kill(writers[1])
        run:bury(table.remove(writers, 1))
        writers[#writers + 1] = run:start(PROCESSES + 1, 1, UNITS, "timeout=60")
      end
      if run.dialect == "postgres" and run.rounds % 3 == 0 then
        for _ = 1, 3 do
          system.sleep(source:int(0, 150) / 1000)
          terminated = terminated + tonumber(run.place.admin:run(("SELECT count(pg_terminate_backend(pid)) "
            .. "FROM pg_stat_activity WHERE datname = '%s'"):format(run.place.name)))
        end
      end
      for _, writer in ipairs(writers) do run:finish(writer) end
      run:judge()
    end
    run:note("%d processes", PROCESSES)
    if run.dialect == "postgres" then run:note("%d connections terminated", terminated) end
  end,
}
