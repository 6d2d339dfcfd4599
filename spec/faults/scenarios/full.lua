-- A disk that somebody else fills while a writer is at it, and frees again. What is refused as `full` must not be
-- there, what was acknowledged must; when there is room again all must go on. SQLite: the file's own disk. PostgreSQL,
-- in turn: the disk of the database's tablespace, and that of the server's log, without which it goes down.
local machine = require "spec.faults.machine"
local places = require "spec.faults.place"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local system = require "system"

-- Each gives the disk, a place on it and how to take it away.
local kinds = {}

function kinds.sqlite()
  local disk = machine.disk("20m", 6)
  return disk, places.sqlite(disk.path), function() disk.close() end
end

function kinds.tablespace(run)
  local disk = machine.disk("40m", 6)
  local admin = psql.new(os.getenv("CONVSTORE_TEST_POSTGRES_URL"))
  local name = "convstore_spec_faults_" .. run.rounds
  machine.give_to_server(disk.path)
  admin:run(("CREATE TABLESPACE %s LOCATION '%s'"):format(name, disk.path))
  return disk, places.postgres(nil, "TABLESPACE " .. name), function()
    admin:run("DROP TABLESPACE " .. name)
    admin:close()
    disk.close()
  end
end

-- A server of its own whose log (WAL) lies on the small disk.
function kinds.log()
  local disk, folder = machine.disk("100m", 40), shell.folder()
  assert(shell.run("chmod 755 " .. shell.quote(folder)))
  local server = machine.server(folder)
  server.move_log(disk.path)
  return disk, places.postgres(server.url), function()
    server.close()
    disk.close()
    shell.remove(folder)
  end, server
end

-- When its log can't grow the server goes down, and may or may not come up again by itself.
local function wait_until_down(server)
  for _ = 1, 20 do
    system.sleep(0.5)
    if not server.run("status") then break end
  end
  return server.panics() > 0
end

return {
  name = "full",
  databases = { "sqlite", "postgres" },
  share = 3,
  plan = { users = 1, keys = 3, long = 30 },
  missing = function(dialect)
    if dialect == "postgres" and not os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL") then
      return "the server is not ours"
    end
    return machine.no_disks()
  end,
  run = function(run)
    local source, counts, down = run.source, {}, 0
    while run:left() > 0 do
      run.rounds = run.rounds + 1
      local kind = run.dialect == "sqlite" and "sqlite" or run.rounds % 3 == 2 and "log" or "tablespace"
      local disk, place, remove, server = kinds[kind](run)
      run:open({ place = place, plan = { seed = run.seed + run.rounds } })
      local durability = source:chance(50) and "normal" or "full"
      local writer = run:start(1, 1, run.FOREVER, durability .. ",timeout=3,pause")
      run:hear(writer)
      system.sleep(source:int(50, 600) / 1000)
      disk.fill()
      counts[kind] = (counts[kind] or 0) + 1
      if server then
        if wait_until_down(server) then down = down + 1 end
        disk.free()
        psql.close_all()
        if not server.run("status") then assert(server.run("start")) end
      else
        repeat local line = run:hear(writer) until not line or line == "refused"
        disk.free()
        if source:chance(50) then
          writer:tell("go on")
          for _ = 1, 20 do
            if run:hear(writer) == "refused" then break end
          end
        end
      end
      run:kill(writer)
      local last = run:bury(writer)
      run:recovers(1, last or 1)
      run.full = (run.full or 0) + (run.log.failures.full or 0)
      run:judge()
      remove()
    end
    for kind, n in pairs(counts) do run:note("%s %d times", kind, n) end
    if run.dialect == "postgres" then run:note("%d servers went down", down) end
    run:note("%d calls refused as full", run.full)
    if run.full == 0 then run:fail("the disk was never full") end
  end,
}
