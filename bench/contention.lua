-- One of the processes of the section "contention": appends as fast as it can.
-- Usage: lua5.4 bench/contention.lua convstore|twin PATH CONVERSATION durability CALLS. Prints, in milliseconds, the
-- median, the 99th percentile and the slowest of its calls.
local data = require "data"
local files = require "files"
local twin = require "twin"

local side, path, id, durability, calls = table.unpack(arg)
local texts = data.texts(1)
local store, chat = files.open(path, durability)
local append = function() assert(chat:append("user", texts[1])) end
if side == "twin" then
  store:close()
  local c = twin.open(path, files.user_id, id, durability, "PRAGMA busy_timeout = 10000")
  append = function() c:append(texts) end
end

local times = {}
for i = 1, calls do
  local start = twin.clock()
  append()
  times[i] = (twin.clock() - start) * 1000
end
table.sort(times)
print(times[#times // 2], times[#times * 99 // 100], times[#times])
