-- Uses everything for very long, with errors mixed in, and sees that this process does not grow: tools/with_postgres
-- lua5.4 spec/soak/main.lua [CYCLES [DATABASES [SEED]]], or make soak. DATABASES are "sqlite", "postgres" or both (the
-- default). A cycle is one step of steps.lua or errors.lua, drawn at random; a step makes from one to a dozen calls. A
-- hundred times in a run the process is measured at rest (sample.lua), and at the end judged (judge.lua). A step that
-- does not end as it should is told at once, and makes the run a failed one. CONVSTORE_SOAK_PLANT, for the spec, makes
-- a leak: "memory", "descriptor" or "statement".
local convstore = require "convstore"
local system = require "system"
local errors = require "spec.soak.errors"
local judge = require "spec.soak.judge"
local psql = require "spec.support.psql"
local random = require "spec.support.random"
local sample = require "spec.soak.sample"
local shell = require "spec.support.shell"
local steps = require "spec.soak.steps"
local world_of = require "spec.soak.world"

local CYCLES = math.tointeger(arg[1] or 200000)
local DATABASES = arg[2] or "sqlite postgres"
local SEED = math.tointeger(arg[3] or os.time())
local PLANT = os.getenv("CONVSTORE_SOAK_PLANT")
local SAMPLES = 100
local FEW = 10 -- steps that fail end the run

local path = assert(os.getenv("CONVSTORE_TEST_SOAK_PROBE"), "run this by make soak")
local probe = assert(package.loadlib(path, "luaopen_soak_probe"))()
probe.watch()
local counts = world_of.count_methods()

-- All steps by name, in an order that does not change from run to run.
local all, names = {}, {}
for _, list in ipairs({ steps, errors }) do
  for name, step in pairs(list) do
    assert(not all[name], name)
    all[name] = step
    names[#names + 1] = name
  end
end
table.sort(names)

local planted = {}
local function plant_a_leak()
  if PLANT == "memory" then
    probe.plant_memory(5000)
  elseif PLANT == "descriptor" then
    planted[#planted + 1] = assert(io.open("/dev/null"))
  end
end

-- A method that is never called is soaked in nothing. In a short run not every step is drawn.
local function check_coverage(wrong)
  for name, count in pairs(counts) do
    if count.calls == 0 and CYCLES >= 20 * #names then wrong[#wrong + 1] = name .. " was never called" end
  end
end

-- One line for each tenth of a run, as it goes.
local function progress(samples, n)
  if n == 1 then
    print("   cycle  heap KiB   Lua KiB  entries  caches KiB  RSS KiB  descriptors  threads  statements")
  elseif n % math.max(#samples // 10, 1) ~= 0 then
    return
  end
  local s = samples[n]
  print(("%8d  %8.1f  %8.1f  %7d  %10.1f  %7d  %11d  %7d  %10d"):format(s.cycle, s.heap / 1024, s.lua / 1024,
    s.entries, s.caches / 1024, s.rss // 1024, s.descriptors, s.threads, s.statements))
end

local function report(backend, samples, seconds, world)
  local calls, failures = 0, 0
  for _, count in pairs(counts) do calls, failures = calls + count.calls, failures + count.failures end
  print(("%-9s %d cycles in %.0f s: %d calls, of which %d failed or raised, as they should; %d connections"
    .. " cut"):format(backend, CYCLES, seconds, calls, failures, world.lost))
  if #samples >= judge.FEWEST then
    print(("%-9s growth in the second half: heap %d bytes, RSS %d bytes, entries %d"):format(backend,
      judge.growth(samples, "heap"), judge.growth(samples, "rss"), judge.growth(samples, "entries")))
  end
end

-- What is wrong with a run of all cycles, as a list of sentences.
local function run(backend, dsn, folder)
  collectgarbage()
  local before = sample.count_descriptors()
  for _, count in pairs(counts) do count.calls, count.failures = 0, 0 end
  local world = world_of.new(backend, dsn, folder, SEED)
  world.no_database = folder .. "/no database"
  shell.write(world.no_database, ("no database "):rep(100))
  sample.prepare(world)
  local draw = random.new(SEED)
  print(("%-9s seed %d"):format(backend, SEED))
  local between = math.max(CYCLES // SAMPLES, 1)
  local samples, n = sample.make(CYCLES // between), 0
  local broken, started = {}, system.monotime()
  for cycle = 1, CYCLES do
    local name = draw:pick(names)
    local ok, message = xpcall(all[name], debug.traceback, world)
    if not ok then
      broken[#broken + 1] = ("cycle %d, step %s, seed %d: %s"):format(cycle, name, SEED, message)
      print(broken[#broken])
      if #broken == FEW then return broken end
    end
    plant_a_leak()
    if cycle % between == 0 then
      n = n + 1
      sample.take(samples[n], world, probe, cycle, PLANT)
      progress(samples, n)
    end
  end
  report(backend, samples, system.monotime() - started, world)
  local wrong = judge.verdict(samples)
  table.move(broken, 1, #broken, #wrong + 1, wrong)
  check_coverage(wrong)
  world:close()
  collectgarbage()
  local after, connections = sample.count_descriptors(), #probe.statements()
  if after ~= before then
    wrong[#wrong + 1] = ("%d descriptors before the first store was opened, %d after the last was closed")
      :format(before, after)
  end
  if connections > 0 then
    wrong[#wrong + 1] = ("%d connections of SQLite are left when all stores are closed"):format(connections)
  end
  return wrong
end

io.stdout:setvbuf("line")
local passed, failed = 0, 0
local function judged(backend, wrong)
  for _, sentence in ipairs(wrong) do
    failed = failed + 1
    print(("%s: %s"):format(backend, sentence))
  end
  if #wrong == 0 then passed = passed + 1 end
end

local folder = shell.folder()
if DATABASES:find("sqlite") then
  judged("sqlite", run("sqlite", folder .. "/soak.db", folder))
end
if DATABASES:find("postgres") then
  local admin = psql.new(assert(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), "run this by tools/with_postgres"))
  local name = "convstore_soak_" .. convstore.uuid():sub(-12)
  admin:run("CREATE DATABASE " .. name)
  judged("postgres", run("postgres", (admin.url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1)), folder))
  admin:run(("DROP DATABASE %s WITH (FORCE)"):format(name))
  admin:close()
end
shell.remove(folder)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
