-- A network that stalls: at a random byte of one direction nothing goes on any more, for a while that may be shorter or
-- longer than the timeout of the calls, or never again on that connection. Every call must be over soon after its
-- timeout, and the same call again must find what became of the first.
local proxy = require "spec.support.proxy"
local system = require "system"

local TIMEOUT, SLACK = 0.4, 3
local WRITERS, UNITS = 3, 80

return {
  name = "stall",
  databases = { "postgres" },
  share = 2,
  plan = { users = 1, keys = 2 },
  run = function(run)
    local source = run.source
    local place = run:open()
    run:finish(run:start(WRITERS + 1, 1, 20))
    local network = proxy.start(place.dsn)
    local stalls, first, failures = 0, 1, 0
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      local writers = {}
      for i = 1, WRITERS do
        writers[i] = run:start(i, first, first + UNITS - 1, "timeout=" .. TIMEOUT,
          { dsn = network:dsn(place.dsn) })
      end
      for _ = 1, 5 do
        network:stall(source:chance(50) and "client" or "server", source:int(1, 8000))
        system.sleep(source:int(50, 900) / 1000)
        if source:chance(30) then network:kill() end
        network:flow()
        stalls = stalls + 1
      end
      for _, writer in ipairs(writers) do run:finish(writer) end
      first = first + UNITS
    end
    network:close()
    for _, n in pairs(run.log.failures) do failures = failures + n end
    if run.log.slowest > TIMEOUT + SLACK then
      run:complain("a call with a timeout of %g s took %.2f s", TIMEOUT, run.log.slowest)
    end
    run:note("%d stalls, %d calls failed and were sent again; slowest %.2f s of %g", stalls, failures,
      run.log.slowest, TIMEOUT)
    run:judge()
  end,
}
