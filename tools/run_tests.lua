-- Runs test programs one after the other and adds up what they say.
-- Usage: lua5.4 tools/run_tests.lua COMMAND..., each a shell command whose last line of output is "N passed, N failed".
--
-- It trusts no silence: a program that crashes, exits with a failure that it did not count, ends without that line, or
-- runs no test is one failure; so is a run without any program. The output passes through as it comes.

local passed, failed, complaints = 0, 0, {}

local function complain(command, ...)
  failed = failed + 1
  complaints[#complaints + 1] = command .. ": " .. string.format(...)
end

local function run(command)
  local program <close> = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local last = ""
  for line in program:lines("L") do
    io.write(line)
    io.flush()
    if line:find("%S") then last = line end
  end
  local ok, how, code = program:close()
  local p, f = last:match("^(%d+) passed, (%d+) failed%s*$")
  p, f = math.tointeger(p), math.tointeger(f)
  if not p then
    complain(command, "ended by %s %d without saying what passed", how, code)
    return
  end
  passed, failed = passed + p, failed + f
  if not ok and f == 0 then complain(command, "nothing failed, yet it ended by %s %d", how, code) end
  if ok and f > 0 then complain(command, "it ended with exit 0 in spite of failures") end
  if p + f == 0 then complain(command, "no test ran") end
end

for _, command in ipairs(arg) do
  io.write("== ", command:match("csrc/tests/%S+") or command:match("tests/(%S+)") or command, "\n")
  io.flush()
  run(command)
end
if #arg == 0 then complain("run_tests", "there is nothing to run") end

for _, complaint in ipairs(complaints) do io.write("FAILED ", complaint, "\n") end
io.write(string.format("%d passed, %d failed\n", passed, failed))
os.exit(failed == 0)
