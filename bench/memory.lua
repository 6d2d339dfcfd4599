-- Reads a whole conversation by each() and prints its messages and the KiB of resident memory that this took.
-- Usage: lua5.4 bench/memory.lua PATH USER KEY, on Linux: the kernel's high-water mark is set back before.
local convstore = require "convstore"

local function resident(field)
  local status <close> = assert(io.open("/proc/self/status"))
  return math.tointeger(status:read("a"):match(field .. ":%s*(%d+) kB"))
end

local store <close> = assert(convstore.open(arg[1]))
local chat = assert(store:user(arg[2]):conversation(arg[3]))
collectgarbage()
local clear <close> = assert(io.open("/proc/self/clear_refs", "w"))
assert(clear:write("5") and clear:flush())
local before, count = resident("VmRSS"), 0
for message in chat:each() do
  assert(message.seq == count + 1)
  count = count + 1
end
print(count, resident("VmHWM") - before)
