-- Real faults against real databases: tools/with_postgres lua5.4 spec/faults/main.lua [SECONDS [SCENARIO…]], or
-- make faults. A scenario is the name of a file in scenarios/, perhaps with ":sqlite" or ":postgres" behind it.
-- Prints a line for each; ends with 1 if anything acknowledged was lost, doubled, changed or out of place.
-- CONVSTORE_FAULTS_SEED repeats what was sent and the times of the faults, as far as the machine does.
local run = require "spec.faults.run"
local system = require "system"

local ALL = { "kill", "together", "fresh", "full", "limit", "readonly", "server", "cut", "stall" }

io.stdout:setvbuf("line")

local seconds = tonumber(arg[1] or 300)
local seed = math.tointeger(os.getenv("CONVSTORE_FAULTS_SEED") or os.time() % 1000000)
local wanted = #arg > 1 and table.move(arg, 2, #arg, 1, {}) or ALL

local jobs, shares = {}, 0
for _, word in ipairs(wanted) do
  local name, only = word:match("^(%w+):?(%w*)$")
  local scenario = require("spec.faults.scenarios." .. name)
  for _, dialect in ipairs(scenario.databases) do
    if only == "" or only == dialect then
      jobs[#jobs + 1] = { scenario = scenario, dialect = dialect }
      shares = shares + scenario.share
    end
  end
end
assert(#jobs > 0, "no such scenario")

print(("seed %d: CONVSTORE_FAULTS_SEED=%d repeats it"):format(seed, seed))
local started, bad = system.monotime(), 0
for _, job in ipairs(jobs) do
  local ok
  if job.dialect == "postgres" and not os.getenv("CONVSTORE_TEST_POSTGRES_URL") then
    print(("%-8s %-8s not run: there is no PostgreSQL server"):format(job.scenario.name, job.dialect))
    ok = not os.getenv("CI")
  else
    ok = run.scenario(job.scenario, job.dialect, seconds * job.scenario.share / shares, seed, print)
  end
  bad = bad + (ok and 0 or 1)
end
print(("%d scenarios, %d of them with violations, %.0f s"):format(#jobs, bad, system.monotime() - started))
os.exit(bad == 0)
