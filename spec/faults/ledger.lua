-- What the writers of a run have said: which units they tried, which were acknowledged with which seq, which were
-- refused. A writer says each thing in one line, over a pipe of its own:
--   try UNIT              before the call
--   ack UNIT SEQ…         after it returned, with the seq of each part
--   no UNIT CODE          it was refused for good: nothing of it may be stored
--   undone UNIT           a transaction that was given up: the same
--   fail UNIT CODE        it failed so that nobody knows; the writer will try again
--   slow SECONDS          the slowest call of all
--   ready, refused        it waits to be told to go on
-- A line that has no end was never said: its writer died in the middle of it.
local ledger = {}
ledger.__index = ledger

function ledger.new()
  return setmetatable({
    tried = {},        -- [writer][unit] = true
    acknowledged = {}, -- [writer][unit] = { seq of part 1, … }
    refused = {},      -- [writer][unit] = code
    failures = {},     -- [code] = how often
    complaints = {},   -- what cannot be, in sentences
    n_acknowledged = 0, n_messages = 0, n_refused = 0, n_replayed = 0, slowest = 0,
  }, ledger)
end

local function of(set, writer)
  set[writer] = set[writer] or {}
  return set[writer]
end

local function complain(self, ...)
  self.complaints[#self.complaints + 1] = string.format(...)
end

local says = {}

function says:try(writer, unit)
  of(self.tried, writer)[unit] = true
end

function says:ack(writer, unit, rest)
  local seqs = {}
  for seq in rest:gmatch("%d+") do
    seqs[#seqs + 1] = math.tointeger(seq)
  end
  if #seqs == 0 then complain(self, "writer %d unit %d was acknowledged without a seq", writer, unit) end
  local before = of(self.acknowledged, writer)[unit]
  if before then
    self.n_replayed = self.n_replayed + 1
    if table.concat(before, " ") ~= table.concat(seqs, " ") then
      complain(self, "writer %d unit %d was acknowledged as seq %s, then as %s", writer, unit,
        table.concat(before, " "), table.concat(seqs, " "))
    end
    return
  end
  if not of(self.tried, writer)[unit] then
    complain(self, "writer %d unit %d was acknowledged and never tried", writer, unit)
  end
  of(self.acknowledged, writer)[unit] = seqs
  self.n_acknowledged, self.n_messages = self.n_acknowledged + 1, self.n_messages + #seqs
end

function says:no(writer, unit, code)
  of(self.refused, writer)[unit] = code
  self.n_refused = self.n_refused + 1
  self.failures[code] = (self.failures[code] or 0) + 1
end

function says:undone(writer, unit)
  of(self.refused, writer)[unit] = "undone"
end

function says:fail(_, _, code)
  self.failures[code] = (self.failures[code] or 0) + 1
end

-- One whole line of a writer's.
function ledger:line(writer, line)
  local seconds = line:match("^slow (%S+)$")
  if seconds then
    self.slowest = math.max(self.slowest, tonumber(seconds))
    return
  end
  if line == "ready" or line == "refused" then return end
  local word, unit, rest = line:match("^(%l+) (%d+) ?(.*)$")
  if not says[word] then
    return complain(self, "writer %d said %q", writer, line)
  end
  says[word](self, writer, math.tointeger(unit), rest)
end

-- All that a writer has said. Returns the last unit that it tried, and whether it was at one when it ended.
function ledger:read(writer, output)
  local last, open = nil, false
  for line in output:gmatch("([^\n]*)\n") do
    self:line(writer, line)
    local word, unit = line:match("^(%l+) (%d+)")
    if word == "try" then
      -- An old one may be tried again.
      last, open = math.max(last or 0, math.tointeger(unit)), true
    elseif word == "ack" or word == "no" or word == "undone" then
      open = false
    end
  end
  return last, open
end

return ledger
