-- The appending process of a run: lua5.4 writer.lua DSN OPTIONS WRITER FIRST LAST SEED KINDS USERS KEYS LONG
-- It sends its units FIRST to LAST (plan.lua) and says on standard output what became of them (ledger.lua), each thing
-- only after the call returned. After `busy`, `timeout` and `unavailable` it sends the same again, as the contract lets
-- a program do. Now and then it sends an old unit again, which must have no effect.
--
-- OPTIONS, with commas between: normal (durability; else full), timeout=SECONDS, readonly, open (says "ready" and waits
-- for a line before it opens), gate (does so after that), pause (after three refusals in a row it says "refused"
-- and waits for a line), meet=MINE;OTHER (waits for its twin before each unit, by two named pipes).
local convstore = require "convstore"
local system = require "system"
local plan = require "spec.faults.plan"
local sender = require "spec.faults.sender"

local SECONDS_OF_PATIENCE = 120

io.stdout:setvbuf("line")

local dsn, words, writer, first, last = table.unpack(arg)
local sending = plan.from_words(table.unpack(arg, 6))
writer, first, last = math.tointeger(writer), math.tointeger(first), math.tointeger(last)
local options = {}
for word in words:gmatch("[^,]+") do
  local name, value = word:match("^(%w+)=?(.*)$")
  options[name] = value
end

local function wait_for(word)
  print(word)
  io.read("l")
end

if options.open then wait_for("ready") end
local function open()
  return convstore.open(dsn, { timeout = tonumber(options.timeout or 30),
    durability = options.normal and "normal" or "full", readonly = options.readonly ~= nil or nil })
end

local deadline = system.monotime() + SECONDS_OF_PATIENCE
local store, message, code = open()
while not store and sender.AGAIN[code] and system.monotime() < deadline do
  store, message, code = open()
end
assert(store, message)
if options.gate then wait_for("ready") end

local mine, other
if options.meet then
  local mine_path, other_path = options.meet:match("^(.*);(.*)$")
  -- Opening a pipe waits for the other end: read and written in one order by both, that would be for ever.
  mine, other = assert(io.open(mine_path, "r+")), assert(io.open(other_path, "r+"))
  mine:setvbuf("no")
end

local sends = sender.new(store, sending:user(writer))
local slowest = 0
local acknowledged = {}

local function settle(number)
  local unit = sending:unit(writer, number)
  local tried = system.monotime()
  local expires = tried + SECONDS_OF_PATIENCE
  return sends:settle(number, unit, function(line)
    local now = system.monotime()
    if not line:find("^try") then slowest = math.max(slowest, now - tried) end
    tried = now
    print(line)
  end, function() return system.monotime() > expires end)
end

local refusals = 0
for number = first, last do
  if mine then
    mine:write("x")
    other:read(1)
  end
  local how = settle(number)
  refusals = how == "refused" and refusals + 1 or 0
  if how == "acknowledged" then acknowledged[#acknowledged + 1] = number end
  if number % 10 == 0 and #acknowledged > 0 then
    settle(acknowledged[number * 7919 % #acknowledged + 1])
  end
  if options.pause and refusals >= 3 then
    wait_for("refused")
    refusals = 0
  end
end
print("slow " .. slowest)
store:close()
