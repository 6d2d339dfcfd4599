-- One scenario on one database: what its file in scenarios/ has to work with, then the judgement and the line that is
-- printed. A scenario is a table: `name`; `databases`, an array of dialects; `share`, its part of the time; `plan`,
-- fields of plan.lua; run(run), which makes the faults until run:left() is 0; and `missing(dialect)`, which says why it
-- cannot be run here, or nil.
local system = require "system"
local checker = require "spec.faults.checker"
local ledger = require "spec.faults.ledger"
local machine = require "spec.faults.machine"
local place = require "spec.faults.place"
local plan = require "spec.faults.plan"
local process = require "spec.support.process"
local random = require "spec.support.random"

local run = {}
run.__index = run

run.FOREVER = 1000000000 -- as the last unit of a writer that will be killed

function run.new(scenario, dialect, seconds, seed)
  local started = system.monotime()
  return setmetatable({
    scenario = scenario, dialect = dialect, seed = seed, started = started, deadline = started + seconds,
    source = random.new(seed), log = ledger.new(), found = {}, notes = {},
    alive = {}, -- writers whose end nobody has waited for
    rounds = 0, kills = 0, calls = 0, messages = 0, replayed = 0,
  }, run)
end

-- The seconds that are left, 0 when the time is over. The first round is always run.
function run:left()
  return self.rounds == 0 and 1 or math.max(0, self.deadline - system.monotime())
end

-- A new database, with a plan and a ledger of its own, until judge().
function run:open(options)
  self.place = options and options.place or place.new(self.dialect)
  local fields = { seed = self.seed }
  for _, more in ipairs({ self.scenario.plan or {}, options and options.plan or {} }) do
    for name, value in pairs(more) do fields[name] = value end
  end
  self.plan, self.log = plan.new(fields), ledger.new()
  return self.place
end

-- A writer process. `words`: options of writer.lua; `options`: those of process.start.
function run:start(writer, first, last, words, options)
  local arguments = { self.place.dsn, words or "", writer, first, last }
  table.move(self.plan:words(), 1, 5, 6, arguments)
  local all = { program = "spec/faults/writer.lua" }
  for name, value in pairs(options or {}) do all[name] = value end
  if all.dsn then arguments[1] = all.dsn end
  local dsn = table.remove(arguments, 1)
  local started = process.start(self.place.folder, dsn, arguments, all)
  started.writer, started.heard = writer, ""
  self.alive[started] = true
  return started
end

-- The writer's next line, which is kept for the ledger; nil where it has ended.
function run.hear(_, writer)
  local line = writer.pipe:read("L")
  writer.heard = writer.heard .. (line or "")
  return line and line:match("^(.*)\n$")
end

-- Waits for the end of a writer, and reads all that it has said. Returns the last unit that it tried, whether it was at
-- one when it ended, whether it ended well, and its standard error.
function run:bury(writer)
  self.alive[writer] = nil
  local output, ok, errors = writer:finish()
  local last, open = self.log:read(writer.writer, writer.heard .. output)
  return last, open, ok, errors
end

function run:kill(writer)
  writer:kill()
  self.kills = self.kills + 1
end

-- A writer that had no cause to fail.
function run:finish(writer)
  local last, _, ok, errors = self:bury(writer)
  if not ok then self:complain("writer %d failed: %s", writer.writer, errors) end
  return last
end

-- All is well again: another writer sends some units from `first` on, and none may fail. The number behind the last.
function run:recovers(number, first)
  local last = first + 14
  self:finish(self:start(number, first, last, "timeout=60"))
  for unit = first, last do
    local refused = (self.log.refused[number] or {})[unit]
    if not (self.log.acknowledged[number] or {})[unit] and refused ~= "undone" then
      self:complain("writer %d unit %d was not taken although all should be well again", number, unit)
    end
  end
  return last + 1
end

function run:complain(...)
  table.insert(self.log.complaints, string.format(...))
end

-- The same once the database has been judged.
function run:fail(...)
  self.found[#self.found + 1] = { kind = "said", detail = string.format(...) }
end

-- For the end of the line: figures that only this scenario has.
function run:note(...)
  self.notes[#self.notes + 1] = string.format(...)
end

-- Judges the database that is open and closes it.
function run:judge()
  self.place.settle()
  for _, one in ipairs((checker.judge(self.place, self.plan, self.log))) do
    self.found[#self.found + 1] = one
  end
  self.calls = self.calls + self.log.n_acknowledged
  self.messages = self.messages + self.log.n_messages
  self.replayed = self.replayed + self.log.n_replayed
  self.place.close()
  self.place = nil
end

-- What a scenario that failed has left.
function run:clean()
  for writer in pairs(self.alive) do
    writer:kill()
    writer:finish()
  end
  local closed, why = true, nil
  if self.place then closed, why = pcall(self.place.close) end
  machine.clean()
  assert(closed, why)
end

-- The line, and what is wrong below it.
function run:report(print_line)
  local n = checker.count(self.found)
  local other = #self.found - n.lost - n.doubled - n.seq - n.gap - n.bytes - n.counter - n.half
  local notes = table.concat(self.notes, "; ") .. (#self.notes > 0 and "; " or "")
  print_line(("%-8s %-8s %5d rounds %5d kills %6d calls acknowledged, %7d messages; lost %d, doubled %d, "
    .. "seq or gap %d, bytes %d, counters %d, half %d, other %d; %s%d replayed; seed %d; %.0f s"):format(
    self.scenario.name, self.dialect, self.rounds, self.kills, self.calls, self.messages, n.lost, n.doubled,
    n.seq + n.gap, n.bytes, n.counter, n.half, other, notes, self.replayed, self.seed,
    system.monotime() - self.started))
  for i, one in ipairs(self.found) do
    if i > 20 then
      print_line(("  … and %d more"):format(#self.found - 20))
      break
    end
    print_line(("  %s: %s"):format(one.kind, (one.detail:gsub("\n", " "))))
  end
  return #self.found == 0
end

-- All of one scenario on one database; whether nothing is wrong.
function run.scenario(scenario, dialect, seconds, seed, print_line)
  local reason = scenario.missing and scenario.missing(dialect)
  if reason then
    print_line(("%-8s %-8s not run: %s"):format(scenario.name, dialect, reason))
    return true
  end
  local self = run.new(scenario, dialect, seconds, seed)
  local ok, message = xpcall(scenario.run, debug.traceback, self)
  if not ok then
    self:fail("%s", message)
    local cleaned, why = pcall(self.clean, self)
    if not cleaned then self:fail("not all could be tidied up: %s", why) end
  elseif self.calls == 0 then
    self:fail("nothing was acknowledged, so nothing was shown")
  end
  return self:report(print_line)
end

return run
