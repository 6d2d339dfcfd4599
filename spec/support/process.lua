-- Other processes, which run a job of spec/support/worker.lua: real second connections, and real deaths.
-- A worker's standard input is a named pipe, so that a spec can tell it when to go on: nobody sleeps.
local shell = require "spec.support.shell"

local process = {}
process.__index = process

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"
local started = 0

-- Starts a shell command whose standard input is a named pipe in `folder`. Options: `before`, a shell command to run
-- first in the same process (such as "ulimit -v 100000"), and `directory` to run in.
function process.command(folder, command, options)
  options = options or {}
  started = started + 1
  local self = setmetatable({}, process)
  self.fifo = ("%s/process%d.in"):format(folder, started)
  self.errors = ("%s/process%d.err"):format(folder, started)
  assert(shell.run("mkfifo " .. shell.quote(self.fifo)))
  local steps = { "echo $$" }
  if options.directory then
    steps[#steps + 1] = "cd " .. shell.quote(options.directory)
  end
  steps[#steps + 1] = options.before
  steps[#steps + 1] = "exec " .. command
  self.pipe = assert(io.popen(("{ %s; } <%s 2>%s"):format(table.concat(steps, " && "), shell.quote(self.fifo),
    shell.quote(self.errors)), "r"))
  -- Opening the pipe waits for the other process to open its end.
  self.input = assert(io.open(self.fifo, "w"))
  self.input:setvbuf("line")
  self.pid = assert(tonumber(self.pipe:read("l")))
  return self
end

-- Every "./" of a search path made absolute, for processes that run elsewhere.
function process.absolute(path, root)
  return (path:gsub("[^;]+", function(entry)
    return entry:sub(1, 2) == "./" and root .. entry:sub(2) or entry
  end))
end

-- A worker for `job`. Further options: `as`, a command that runs it (such as "setpriv --reuid=…"), `env`, a table
-- of variables (false: unset), and `program`, another one than worker.lua.
function process.start(folder, job, arguments, options)
  options = options or {}
  local root = require("lfs").currentdir()
  local words = { options.as or "", "env" }
  for name, value in pairs(options.env or {}) do
    if not value then
      words[#words + 1] = "-u " .. name
    end
  end
  words[#words + 1] = "LUA_PATH=" .. shell.quote(process.absolute(package.path, root))
  words[#words + 1] = "LUA_CPATH=" .. shell.quote(process.absolute(package.cpath, root))
  for name, value in pairs(options.env or {}) do
    if value then
      words[#words + 1] = name .. "=" .. shell.quote(value)
    end
  end
  words[#words + 1] = LUA
  words[#words + 1] = shell.quote(root .. "/" .. (options.program or "spec/support/worker.lua"))
  words[#words + 1] = shell.quote(job)
  for _, argument in ipairs(arguments or {}) do
    words[#words + 1] = shell.quote(tostring(argument))
  end
  return process.command(folder, table.concat(words, " "), options)
end

-- The next line that the worker prints; where it has died, an error with its last words.
function process:line()
  local line = self.pipe:read("l")
  if not line then
    error("the worker ended: " .. (shell.read(self.errors) or ""), 2)
  end
  return line
end

function process:tell(text)
  self.input:write(text, "\n")
end

-- As a power cut is to a program: no handler runs.
function process:kill()
  assert(shell.run("kill -9 " .. self.pid))
end

-- Waits for the end. Everything it still printed, true where it ended well, and its standard error.
function process:finish()
  self.input:close()
  local output = self.pipe:read("a")
  local ok = self.pipe:close() == true
  local errors = shell.read(self.errors) or ""
  os.remove(self.fifo)
  return output, ok, errors
end

-- Runs a job to its end, which must be a good one; what it printed.
function process.run(folder, job, arguments, options)
  local output, ok, errors = process.start(folder, job, arguments, options):finish()
  if not ok then
    error(("the worker %s failed: %s%s"):format(job, output, errors), 2)
  end
  return output
end

return process
