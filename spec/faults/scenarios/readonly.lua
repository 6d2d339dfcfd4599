-- A database that may only be read for a while: every call must be refused as `readonly`, nothing of it may be there,
-- and afterwards all must go on. SQLite: opened so, a file of somebody else's, a file system mounted so. PostgreSQL:
-- opened so, and a server that becomes a read-only one (as after a failover) and back while a writer is connected.
local machine = require "spec.faults.machine"
local places = require "spec.faults.place"
local shell = require "spec.support.shell"

local NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
local UNITS = 10

local ways = {}

-- A writer that opens the database as it is now: all its units are refused, or even the opening is.
local function refused(run, first, words, options)
  local writer = run:start(1, first, first + UNITS - 1, words, options)
  local _, _, ok, errors = run:bury(writer)
  local n = 0
  for unit = first, first + UNITS - 1 do
    local code = run.log.refused[1] and run.log.refused[1][unit]
    if code == "readonly" then n = n + 1 end
  end
  if not (ok and n == UNITS or not ok and errors:find("readonly: ", 1, true)) then
    run:complain("%d of %d calls were refused as readonly: %s", n, UNITS, errors)
  end
  return UNITS
end

function ways.option(run, first)
  return refused(run, first, "timeout=5,readonly")
end

function ways.permissions(run, first)
  local path = shell.quote(run.place.path)
  assert(shell.run("chmod 444 " .. path))
  refused(run, first, "timeout=5", { as = shell.is_root() and NOBODY or nil })
  assert(shell.run("chmod 644 " .. path))
end

function ways.mount(run, first)
  run.disk.remount("ro")
  refused(run, first, "timeout=5")
  run.disk.remount("rw")
end

function ways.server(run, first)
  local place = run.place
  local function set(value)
    place.admin:run(("ALTER DATABASE %s SET default_transaction_read_only = %s"):format(place.name, value))
    place.admin:run(([[SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '%s'
      AND backend_type = 'client backend' AND application_name <> 'psql']]):format(place.name))
  end
  local writer = run:start(1, first, run.FOREVER, "timeout=5,pause")
  run:hear(writer)
  set("on")
  repeat local line = run:hear(writer) until not line or line == "refused"
  set("off")
  writer:tell("go on")
  for _ = 1, 2 * UNITS do run:hear(writer) end
  run:kill(writer)
  return (run:bury(writer) or first) - first + 1
end

return {
  name = "readonly",
  databases = { "sqlite", "postgres" },
  share = 1,
  plan = { users = 1, keys = 3, long = 10 },
  run = function(run)
    local list, done = { "option", "server" }, {}
    if run.dialect == "sqlite" then
      list = { "option" }
      if not shell.is_root() or shell.run(NOBODY .. " test -r spec/faults/writer.lua") then
        list[#list + 1] = "permissions"
      end
      local no_disks = machine.no_disks()
      if no_disks then run:note("not run by a mount: %s", no_disks) else list[#list + 1] = "mount" end
    end
    if run.dialect == "sqlite" and list[#list] == "mount" then
      run.disk = machine.disk("60m")
    end
    run:open({ place = run.disk and places.sqlite(run.disk.path) })
    local first = 1
    local codes = 0
    -- Each way at least once.
    while run:left() > 0 or run.rounds < #list do
      run.rounds = run.rounds + 1
      local way = list[run.rounds % #list + 1]
      first = run:recovers(1, first)
      first = first + (ways[way](run, first) or UNITS)
      first = run:recovers(1, first)
      done[way] = (done[way] or 0) + 1
    end
    for code, n in pairs(run.log.failures) do
      if code == "readonly" then codes = n end
    end
    for _, way in ipairs(list) do run:note("%s %d times", way, done[way]) end
    run:note("%d calls refused as readonly", codes)
    run:judge()
    if run.disk then run.disk.close() end
  end,
}
