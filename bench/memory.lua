-- Reads a whole conversation by each() and prints its messages and the KiB of resident memory that this took.
-- Usage: lua5.4 bench/memory.lua PATH, on Linux: the kernel's high-water mark is set back before.
local files = require "files"

local function resident(field)
  local status <close> = assert(io.open("/proc/self/status"))
  return math.tointeger(status:read("a"):match(field .. ":%s*(%d+) kB"))
end

local _, chat = files.open(arg[1], "full")
collectgarbage()
local clear <close> = assert(io.open("/proc/self/clear_refs", "w"))
assert(clear:write("5") and clear:flush())
local before, count = resident("VmRSS"), 0
for message in chat:each() do
  assert(message.seq == count + 1)
  count = count + 1
end
print(count, resident("VmHWM") - before)
