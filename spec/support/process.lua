-- Other processes, which run a job of spec/support/worker.lua: real second connections, and real deaths.
-- A worker's standard input is a named pipe, so that a spec can tell it when to go on: nobody sleeps.
local shell = require "spec.support.shell"

local process = {}
process.__index = process

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"
local started = 0

-- A worker for `job`; `folder` takes its pipe and its standard error. Options: `prefix`, a command that the worker
-- is run by (such as "ulimit -v 100000;" or "exec setpriv …"), `directory` to run in, and `env`, a table of variables
-- (false: unset).
function process.start(folder, job, arguments, options)
  options = options or {}
  started = started + 1
  local self = setmetatable({}, process)
  self.fifo = ("%s/worker%d.in"):format(folder, started)
  self.errors = ("%s/worker%d.err"):format(folder, started)
  assert(shell.run("mkfifo -m 666 " .. shell.quote(self.fifo)))
  local root = require("lfs").currentdir()
  local function absolute(path)
    return (path:gsub("[^;]+", function(entry)
      return entry:sub(1, 2) == "./" and root .. entry:sub(2) or entry
    end))
  end
  local words = { "env" }
  for name, value in pairs(options.env or {}) do
    if not value then
      words[#words + 1] = "-u " .. name
    end
  end
  words[#words + 1] = "LUA_PATH=" .. shell.quote(absolute(package.path))
  words[#words + 1] = "LUA_CPATH=" .. shell.quote(absolute(package.cpath))
  for name, value in pairs(options.env or {}) do
    if value then
      words[#words + 1] = name .. "=" .. shell.quote(value)
    end
  end
  words[#words + 1] = LUA
  words[#words + 1] = shell.quote(root .. "/spec/support/worker.lua")
  words[#words + 1] = job
  for _, argument in ipairs(arguments or {}) do
    words[#words + 1] = shell.quote(tostring(argument))
  end
  local enter = options.directory and "cd " .. shell.quote(options.directory) .. " && " or ""
  local command = ("%s{ echo $$; %s exec %s; } <%s 2>%s"):format(enter, options.prefix or "", table.concat(words, " "),
    shell.quote(self.fifo), shell.quote(self.errors))
  self.pipe = assert(io.popen(command, "r"))
  -- Opening the pipe waits for the worker to open its end.
  self.input = assert(io.open(self.fifo, "w"))
  self.input:setvbuf("line")
  self.pid = assert(tonumber(self.pipe:read("l")))
  return self
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
