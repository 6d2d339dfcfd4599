-- Runs test programs one after the other and adds up what they say.
-- Usage: lua5.4 tools/run_tests.lua [--together] COMMAND..., each a shell command whose last line of output is
-- "N passed, N failed". With --together they run at the same time, each on the processor that another leaves idle;
-- their output still comes one after the other.
--
-- It trusts no silence: a program that crashes, hangs, exits with a failure that it did not count, ends without that
-- line, or runs no test is one failure; so is a run without any program. The output passes through as it comes.

-- A command that takes longer, in seconds, hangs. CONVSTORE_TEST_LIMIT: for those that are known to be long.
local LIMIT = tonumber(os.getenv("CONVSTORE_TEST_LIMIT")) or 900

local passed, failed, complaints = 0, 0, {}

local function complain(name, ...)
  failed = failed + 1
  complaints[#complaints + 1] = name .. ": " .. string.format(...)
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- What a command is called in the output: the name of the C program or the spec, or "specs" for all of these.
local function title(command)
  if command:find("run_tests", 1, true) then return "programs in C" end
  return command:match("tests/([%w_]+)$") or command:match("([%w_]+)%.lua$") or
    command:find("busted", 1, true) and "specs" or command
end

local function start(command)
  return assert(io.popen("exec timeout " .. LIMIT .. " sh -c " .. quote(command) .. " 2>&1"))
end

local function finish(command, started)
  local name = title(command)
  io.write("== ", name, "\n")
  io.flush()
  local program <close> = started or start(command)
  local last, said, p, f
  local line = ""
  for byte in program:lines(1) do -- by byte, so that busted's row of dots is seen growing
    io.write(byte)
    io.flush()
    if byte ~= "\n" then
      line = line .. byte
    else
      if line:find("%S") then last = line end
      local n_passed, n_failed = line:match("^(%d+) passed, (%d+) failed%s*$")
      if n_passed then said, p, f = line, math.tointeger(n_passed), math.tointeger(n_failed) end
      line = ""
    end
  end
  local ok, how, code = program:close()
  if not said then
    complain(name, "it ended by %s %d and did not say what passed", how, code)
    return
  end
  passed, failed = passed + p, failed + f
  if not ok and f == 0 then complain(name, "nothing failed in it, yet it ended by %s %d", how, code) end
  if ok and f > 0 then complain(name, "it ended well in spite of failures") end
  if ok and (last ~= said or line ~= "") then complain(name, "its last line does not say what passed") end
  if p + f == 0 then complain(name, "no test ran") end
end

local together = arg[1] == "--together" and table.remove(arg, 1)
local started = {}
for i, command in ipairs(together and arg or {}) do started[i] = start(command) end
for i, command in ipairs(arg) do finish(command, started[i]) end
if #arg == 0 then complain("run_tests", "there is nothing to run") end

for _, complaint in ipairs(complaints) do io.write("FAILED ", complaint, "\n") end
io.write(string.format("%d passed, %d failed\n", passed, failed))
os.exit(failed == 0)
