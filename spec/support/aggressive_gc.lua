-- A busted helper: runs everything with a collector that never rests, so that a value which C code forgot to keep
-- alive is gone while it is still in use. Two ways at once:
-- the incremental collector starts again as soon as it ends and steps at every few bytes that are allocated, so that
-- finalizers run in the middle of our C functions; and full collections come at regular intervals in Lua code.

local INSTRUCTIONS_PER_COLLECTION = 50000

collectgarbage("incremental", 1, 400, 6) -- pause in percent, speed, bytes between steps as a power of two

local function hook()
  collectgarbage()
end

-- A hook belongs to one coroutine, so new ones are given it as well.
local create = coroutine.create
function coroutine.create(body) -- luacheck: ignore 122
  local thread = create(body)
  debug.sethook(thread, hook, "", INSTRUCTIONS_PER_COLLECTION)
  return thread
end
function coroutine.wrap(body) -- luacheck: ignore 122
  local thread = coroutine.create(body)
  return function(...)
    local results = table.pack(coroutine.resume(thread, ...))
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end
end
debug.sethook(hook, "", INSTRUCTIONS_PER_COLLECTION)
