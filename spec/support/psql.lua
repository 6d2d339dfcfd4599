-- A person at PostgreSQL's shell: one psql process that stays connected, as starting one costs more than most queries.
-- It answers in the form of the sqlite3 shell (a row a line, "|" between columns), so specs can share expectations.
local shell = require "spec.support.shell"

local psql = {}
psql.__index = psql

local CLIENTS = os.getenv("CONVSTORE_TEST_POSTGRES_CLIENTS")
local MARK = "-- the answer ends here --"

-- All that there are. Busted forgets this module at the end of each spec file; the processes live on.
local REGISTRY = "convstore.spec.psql"
local all = debug.getregistry()[REGISTRY] or setmetatable({}, { __mode = "k" })
debug.getregistry()[REGISTRY] = all

-- A program that came with psql, such as pg_dump.
function psql.program(name)
  return CLIENTS and shell.quote(CLIENTS .. "/" .. name) or name
end

-- A shell for the database of `url`; its process starts with the first command.
function psql.new(url)
  local self = setmetatable({ url = url }, psql)
  all[self] = true
  return self
end

function psql:start()
  self.folder = shell.folder()
  local fifo = shell.quote(self.folder .. "/commands")
  assert(shell.run("mkfifo " .. fifo))
  self.answers = assert(io.popen(("exec %s -X -q -A -t -v ON_ERROR_STOP=1 %s <%s 2>&1"):format(
    psql.program("psql"), shell.quote(self.url), fifo)))
  self.commands = assert(io.open(self.folder .. "/commands", "w"))
  self.commands:setvbuf("full")
end

-- Sends commands without waiting for their answer, which the next run() returns first.
function psql:send(sql)
  if not self.commands then
    self:start()
  end
  self.commands:write(sql, "\n;\n")
  self.commands:flush()
end

-- What the commands print. A failure ends the process and is raised; after that, a new one starts.
function psql:run(sql)
  -- In one write: where the first fails, psql may be gone before a second one, which would end this process by SIGPIPE.
  self:send(sql .. "\n;\nSELECT '" .. MARK .. "';")
  local lines = {}
  for line in self.answers:lines("L") do
    if line == MARK .. "\n" then
      return table.concat(lines)
    end
    lines[#lines + 1] = line
  end
  self:forget()
  error("psql: " .. table.concat(lines), 2)
end

-- The process has ended or will.
function psql:forget()
  local commands, answers = self.commands, self.answers
  self.commands, self.answers = nil, nil
  commands:close()
  answers:close()
  shell.remove(self.folder)
end

function psql:close()
  if self.commands then
    -- Processes that were started later hold this pipe open as well, so its end alone would not reach psql.
    self.commands:write("\n\\q\n")
    self:forget()
  end
end

-- Before the server is stopped: those that are used again connect again.
function psql.close_all()
  for self in pairs(all) do
    self:close()
  end
end

return psql
