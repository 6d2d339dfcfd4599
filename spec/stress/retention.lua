-- Archiving and purging half of many messages while others append: how long does the slowest append take?
-- tools/with_postgres lua5.4 spec/stress/retention.lua [MESSAGES [DATABASES]], or make stress-retention. DATABASES are
-- "sqlite", "postgres" or both (the default). The messages are those of 100 users, and indexed for search. At the end
-- each conversation is read once. No append may fail; on PostgreSQL none may take longer than 250 ms.
local convstore = require "convstore"
local system = require "system"
local process = require "spec.support.process"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"

local MESSAGES = math.tointeger(arg[1] or 1000000)
local DATABASES = arg[2] or "sqlite postgres"
local USERS, LENGTH, WRITERS = 100, 100, 4
local LIMIT_MS = { postgres = 250 }
local LONG = 20000 -- messages of one conversation in each half

local passed, failed = 0, 0
local function expect(what, expected, actual)
  if expected == actual then
    passed = passed + 1
  else
    failed = failed + 1
    print(("%s: expected %s, got %s"):format(what, expected, actual))
  end
end

-- Half of the messages. Returns how many there are, and the time when all of them had been written.
local function load_half(store, half)
  local n, conversations = 0, 0
  local function add(user, length)
    local chat = assert(user:create())
    for first = 1, length, 1000 do
      local batch = {}
      for i = first, math.min(first + 999, length) do
        batch[#batch + 1] = { role = i % 2 == 1 and "user" or "assistant",
          content = ("message %d of half %d, with some words long enough to be worth their while: %d")
            :format(i, half, n) }
        n = n + 1
      end
      assert(chat:append_many(batch))
    end
    conversations = conversations + 1
  end
  while n + LENGTH <= MESSAGES // 2 do
    assert(store:transaction(function()
      if n == 0 and MESSAGES // 2 > LONG then add(store:user("user 1"), LONG) end
      for i = 1, USERS do
        if n + LENGTH <= MESSAGES // 2 then add(store:user("user " .. i), LENGTH) end
      end
      return true
    end))
  end
  system.sleep(0.002)
  local time = math.floor(system.gettime() * 1000)
  system.sleep(0.002)
  return { messages = n, conversations = conversations }, time
end

-- Runs fn while others append; prints how that was.
local function beside_writers(name, dsn, folder, what, fn)
  local stop = folder .. "/stop"
  local workers = {}
  for i = 1, WRITERS do
    workers[i] = process.start(folder, "append_timed", { dsn, what .. i, stop })
  end
  for _, worker in ipairs(workers) do assert(worker:line() == "ready") end
  for _, worker in ipairs(workers) do worker:tell("go") end
  local started = system.monotime()
  local result = fn()
  local seconds = system.monotime() - started
  shell.write(stop, "")
  local appends, slowest = 0, 0
  for i, worker in ipairs(workers) do
    local output, ok, errors = worker:finish()
    expect(("%s: writer %d beside %s"):format(name, i, what), "a good end", ok and "a good end" or errors)
    local n, time = output:match("^(%d+)\t(%S+)")
    appends, slowest = appends + (tonumber(n) or 0), math.max(slowest, tonumber(time) or math.huge)
  end
  assert(os.remove(stop))
  print(("%-9s %-8s %8d messages of %6d conversations in %6.1f s; %6d appends, the slowest %4.0f ms"):format(
    name, what, result.messages, result.conversations, seconds, appends, slowest * 1000))
  if LIMIT_MS[name] then
    expect(("%s: slowest append beside %s (%.0f ms) within %d ms"):format(name, what, slowest * 1000,
      LIMIT_MS[name]), true, slowest * 1000 <= LIMIT_MS[name])
  end
  return result
end

local function run(name, dsn, folder)
  local store = assert(convstore.open(dsn, { timeout = 600 }))
  local started = system.monotime()
  local old, time = load_half(store, 1)
  local young = load_half(store, 2)
  print(("%-9s loaded in %.0f s"):format(name, system.monotime() - started))
  started = system.monotime()
  for i = 1, USERS do assert(store:user("user " .. i):search("worth")) end
  print(("%-9s indexed in %.0f s"):format(name, system.monotime() - started))
  beside_writers(name, dsn, folder, "nothing", function()
    system.sleep(3)
    return { messages = 0, conversations = 0 }
  end)
  for _, what in ipairs({ "archive", "purge" }) do
    local result = beside_writers(name, dsn, folder, what, function()
      return assert(store[what](store, { idle_before = time }))
    end)
    expect(name .. ": conversations of " .. what, old.conversations, result.conversations)
    expect(name .. ": messages of " .. what, old.messages, result.messages)
  end
  local messages, conversations = 0, 0
  for i = 1, USERS do
    local user = store:user("user " .. i)
    for listed in user:conversations() do
      local chat = assert(user:get(listed.id))
      local seq = 0
      for message in chat:each() do
        seq = seq + 1
        assert(message.seq == seq)
      end
      expect("messages of " .. listed.id, listed.last_seq, seq)
      messages, conversations = messages + seq, conversations + 1
    end
  end
  expect(name .. ": conversations that are left", young.conversations, conversations)
  expect(name .. ": messages that are left", young.messages, messages)
  local erased = beside_writers(name, dsn, folder, "erase", function()
    return assert(store:user("user 1"):erase())
  end)
  expect(name .. ": something to erase", true, erased.messages > 0)
  store:close()
end

local folder = shell.folder(true)
if DATABASES:find("sqlite") then
  run("sqlite", folder .. "/stress.db", folder)
end
if DATABASES:find("postgres") then
  local url = assert(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), "run this by tools/with_postgres")
  local admin = psql.new(url)
  local name = "convstore_stress_" .. convstore.uuid():sub(-12)
  admin:run("CREATE DATABASE " .. name)
  run("postgres", (url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1)), folder)
  admin:run(("DROP DATABASE %s WITH (FORCE)"):format(name))
  admin:close()
end
shell.remove(folder)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
