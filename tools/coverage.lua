-- Reads what `gcov --no-output` prints and writes a line for each of our C files, the least covered first.
-- Headers and system files, which gcov reports as well, are left out. Percentages are for reading: nothing fails.

local rows, lines, reached = {}, 0, 0
local file
for line in io.lines() do
  file = line:match("^File '(.*)'$") or file
  local percent, n = line:match("^Lines executed:([%d.]+)%% of (%d+)$")
  if percent and file and file:match("^csrc/.*%.c$") then
    percent, n = tonumber(percent), math.tointeger(tonumber(n))
    rows[#rows + 1] = { file = file, percent = percent, n = n }
    lines, reached = lines + n, reached + percent * n / 100
  end
  if percent then file = nil end -- the total of an object file follows without a name
end
if #rows == 0 then
  io.stderr:write("coverage: gcov reported none of our files\n")
  os.exit(1)
end

table.sort(rows, function(a, b)
  if a.percent ~= b.percent then return a.percent < b.percent end
  return a.file < b.file
end)
for _, row in ipairs(rows) do
  print(string.format("%6.1f %% of %4d lines  %s", row.percent, row.n, row.file))
end
print(string.format("%6.1f %% of %4d lines  in all", 100 * reached / lines, lines))
