-- SIGKILL of the appending process at random moments: while it opens, within a call, between two. The next one goes on
-- where it died: by chance it sends the unit in question again or leaves it as it is.
local system = require "system"

return {
  name = "kill",
  databases = { "sqlite", "postgres" },
  share = 3,
  plan = { users = 1, keys = 3 },
  run = function(run)
    local source = run.source
    run:open()
    local first, within, resent = 1, 0, 0
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      local writer = run:start(1, first, run.FOREVER, source:chance(50) and "normal" or "full")
      -- Some die before they have said a word.
      if source:chance(80) then run:hear(writer) end
      system.sleep(source:int(0, source:chance(80) and 30 or 200) / 1000)
      run:kill(writer)
      local last, open = run:bury(writer)
      if last then first = last + 1 end
      if open then
        within = within + 1
        if source:chance(50) then
          first, resent = last, resent + 1
        end
      end
    end
    run:note("%d within a call, %d of these sent again", within, resent)
    run:judge()
  end,
}
