-- Eight processes on one conversation, all kinds of calls. In each second round one of them is killed at a random
-- moment, and another takes its place, while the other seven hold the database open.
local system = require "system"

local PROCESSES, UNITS = 8, 30

return {
  name = "together",
  databases = { "sqlite", "postgres" },
  share = 2,
  plan = { users = 1, keys = 1 },
  run = function(run)
    local source = run.source
    local next_unit = {}
    run:open()
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      local writers = {}
      for i = 1, PROCESSES do
        next_unit[i] = next_unit[i] or 1
        writers[i] = run:start(i, next_unit[i], next_unit[i] + UNITS - 1, "normal,timeout=60,gate")
      end
      for _, writer in ipairs(writers) do assert(run:hear(writer) == "ready", "a writer did not start") end
      for _, writer in ipairs(writers) do writer:tell("go") end
      if run.rounds % 2 == 0 then
        local victim = source:int(1, PROCESSES)
        system.sleep(source:int(0, 150) / 1000)
        run:kill(writers[victim])
        local last = run:bury(writers[victim]) or next_unit[victim]
        -- The unit in question once more, then the others.
        writers[victim] = run:start(victim, last, next_unit[victim] + UNITS - 1, "timeout=60")
      end
      for i, writer in ipairs(writers) do
        run:finish(writer)
        next_unit[i] = next_unit[i] + UNITS
      end
    end
    run:note("%d processes", PROCESSES)
    run:judge()
  end,
}
