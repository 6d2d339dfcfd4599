-- The other process of a spec: `lua5.4 worker.lua JOB ARGUMENT…`, started by spec/support/process.lua.
-- It prints lines and waits for lines; a failure of the library ends it with status 1 and the message.
local globals = {}
for name in pairs(_G) do
  globals[name] = true
end

local convstore = require "convstore"

io.stdout:setvbuf("line")

local jobs = {}

-- Says that it is ready and waits until all others are.
local function wait_for_start()
  print("ready")
  io.read("l")
end

local function conversation(dsn, key, options)
  local store = assert(convstore.open(dsn, options))
  return assert(store:user("alice"):conversation(key)), store
end

-- Many appends against those of other processes.
function jobs.append(dsn, key, n, name)
  local chat = conversation(dsn, key, { timeout = 60 })
  wait_for_start()
  for i = 1, tonumber(n) do
    assert(chat:append("user", name .. ":" .. i))
  end
end

-- The same alone, and prints the kind of each event that it is told of.
function jobs.append_logging(dsn, key, n, name)
  local chat = conversation(dsn, key, { log = function(event) print(event.event) end })
  wait_for_start()
  for i = 1, tonumber(n) do
    assert(chat:append("user", name .. ":" .. i))
  end
end

-- Appends with `expect` only, again and again until it was the first, and says what it had seen.
function jobs.append_expecting(dsn, key, n)
  local chat = conversation(dsn, key, { timeout = 60 })
  wait_for_start()
  for _ = 1, tonumber(n) do
    local message, failure, code
    repeat
      local seen = assert(chat:refresh()).last_seq
      message, failure, code = chat:append("user", tostring(seen), { expect = seen })
    until message or code ~= "conflict"
    assert(message, failure)
  end
end

-- Sends messages that others send as well: every third one alone, the others by twos.
function jobs.append_same(dsn, key, n)
  local chat = conversation(dsn, key, { timeout = 60 })
  local function message(i)
    return { role = "user", content = tostring(i), id = ("00000000-0000-7000-8000-%012d"):format(i) }
  end
  wait_for_start()
  for i = 1, tonumber(n), 3 do
    assert(assert(chat:append(message(i))).content == tostring(i))
    local two = assert(chat:append_many({ message(i + 1), message(i + 2) }))
    assert(two[2].seq == two[1].seq + 1)
  end
end

-- Makes n forks whose ids others ask for at the same time.
function jobs.fork_same(dsn, key, n)
  local chat = conversation(dsn, key, { timeout = 60 })
  wait_for_start()
  for i = 1, tonumber(n) do
    local fork = assert(chat:fork({ id = ("00000000-0000-7000-8000-%012d"):format(i), at = i }))
    assert(fork.last_seq == i and fork.forked_from.seq == i)
  end
end

-- Stores n summaries, against those of other processes.
function jobs.summarize(dsn, key, n, name)
  local chat = conversation(dsn, key, { timeout = 60 })
  wait_for_start()
  for i = 1, tonumber(n) do
    assert(chat:summarize(name .. ":" .. i))
  end
end

-- Merges n keys of its own, one by one, into the first message's metadata and the conversation's.
function jobs.merge(dsn, key, n, name)
  local chat = conversation(dsn, key, { timeout = 60 })
  wait_for_start()
  for i = 1, tonumber(n) do
    assert(chat:annotate(1, { [name .. ":" .. i] = i }))
    assert(chat:update({ metadata = { [name .. ":" .. i] = i }, merge = true }))
  end
end

-- Ends in the middle of everything: an iterator, a transaction, handles of all kinds.
function jobs.leave_open(dsn, way)
  local chat, store = conversation(dsn, "k")
  assert(chat:append("user", way))
  ITERATOR = chat:each() -- luacheck: ignore 111
  ITERATOR() -- luacheck: ignore 113
  SUSPENDED = coroutine.create(function() -- luacheck: ignore 111
    return store:transaction(function()
      assert(chat:append("user", "never committed"))
      coroutine.yield()
    end)
  end)
  assert(coroutine.resume(SUSPENDED)) -- luacheck: ignore 113
  print("left")
  if way ~= "return" then
    os.exit(true, way == "close")
  end
end

-- Appends until it is killed, saying which messages it was told are stored.
function jobs.append_forever(dsn, key)
  local chat = conversation(dsn, key, { timeout = 60, durability = "normal" })
  for i = 1, math.huge do
    local message = assert(chat:append("user", "message " .. i))
    print(message.seq, message.id)
  end
end

-- Searches once, which indexes what is not yet.
function jobs.search(dsn, text)
  local store = assert(convstore.open(dsn, { timeout = 60 }))
  wait_for_start()
  assert(store:user("alice"):search(text))
end

-- Appends, redacts and searches against others: in each round 40 messages to a conversation of its own and one that all
-- share, of which it redacts one.
function jobs.search_and_append(dsn, name, rounds)
  local store = assert(convstore.open(dsn, { timeout = 60 }))
  local alice = store:user("alice")
  local chats = { assert(alice:conversation("common")), assert(alice:conversation("own " .. name)) }
  for round = 1, tonumber(rounds) do
    local chat = chats[round % 2 + 1]
    local batch = {}
    for i = 1, 40 do
      batch[i] = { role = "user", content = ("shared word %s of %s in %d"):format(i, name, round) }
    end
    local stored = assert(chat:append_many(batch))
    assert(alice:search("shared word", { limit = 1 }))
    assert(chat:redact(stored[round].seq))
    assert(#assert(alice:search(('"of %s in %d"'):format(name, round), { limit = 100 })) == 39)
  end
  print("done")
end

-- Moves everything to the archive, again and again, a few conversations at a time; some come back by an append.
function jobs.archive_forever(dsn, keys)
  local store = assert(convstore.open(dsn, { timeout = 60, durability = "normal" }))
  local alice = store:user("alice")
  print("started")
  for round = 1, math.huge do
    assert(store:archive({ idle_before = os.time() * 1000 + 3600000, limit = round % 5 + 1 }))
    assert(assert(alice:conversation("key " .. round % tonumber(keys) + 1)):append("user", "back"))
  end
end

-- Appends to a conversation of its own until a file named `stop` appears, then says how often and how long the slowest
-- one took, in seconds.
function jobs.append_timed(dsn, key, stop)
  local system = require "system"
  local chat = conversation(dsn, key, { timeout = 60 })
  local slowest, n = 0, 0
  wait_for_start()
  repeat
    local started = system.monotime()
    assert(chat:append("user", "message " .. n))
    slowest, n = math.max(slowest, system.monotime() - started), n + 1
    local file = io.open(stop)
  until file
  print(n, slowest)
end

-- Uses everything as one of several users until a file named `stop` appears, and looks at each row for its owner.
function jobs.own(dsn, name, stop, seconds, seed, options)
  local owner = require "spec.isolation.owner"
  local self = owner.new(dsn, name, assert(load("return " .. options))(), math.tointeger(seed))
  local broken, file = 0
  wait_for_start()
  local latest = os.time() + tonumber(seconds)
  repeat
    if not self:step() then broken = broken + 1 end
    file = io.open(stop)
  until file or os.time() > latest
  print(("%d calls, %d rows, %d broken"):format(self.calls, self.rows, broken))
end

-- Purges everything, a deleted conversation or one that lies idle.
function jobs.purge(dsn)
  local store = assert(convstore.open(dsn, { timeout = 60 }))
  print("started")
  assert(store:purge({ idle_before = os.time() * 1000 + 3600000 }))
end

-- Holds the write lock until it is told to go.
function jobs.hold(dsn)
  local _, store = conversation(dsn, "held")
  assert(store:transaction(function()
    print("locked")
    io.read("l")
    return true
  end))
end

-- Appends in a transaction to one conversation and then to one that is locked, with Ctrl-C caught as the command does.
function jobs.interrupted(dsn)
  require("convstore.core").catch_interrupts()
  local alice, store = conversation(dsn, "free")
  local locked = assert(store:user("alice"):conversation("locked"))
  local ok, message, code = store:transaction(function()
    assert(alice:append("user", "in the transaction"))
    print("waits")
    return locked:append("user", "never")
  end)
  print(ok, code, message)
end

-- Asks for the keys 1…n at the same time as others do.
function jobs.keys(dsn, n)
  local store = assert(convstore.open(dsn, { timeout = 60 }))
  local alice = store:user("alice")
  wait_for_start()
  for i = 1, tonumber(n) do
    print(assert(alice:conversation("key " .. i)).id)
  end
end

-- Opens a database that is not there yet, at the same time as others do.
function jobs.open(dsn, users, role, operator_role)
  wait_for_start()
  local store = assert(convstore.open(dsn, { timeout = 60, users = users ~= "" and users or nil, role = role,
    operator_role = operator_role }))
  print(assert(store:schema_version()))
  store:close()
end

-- The names of the variables that the library has made.
function jobs.globals()
  for name in pairs(_G) do
    if not globals[name] then
      print(name)
    end
  end
end

function jobs.uuids(n)
  for _ = 1, tonumber(n) do
    print(convstore.uuid())
  end
end

-- Opens without a DSN and leaves a message behind.
function jobs.open_default()
  local store = assert(convstore.open())
  print(assert(assert(store:user("alice"):conversation("default")):append("user", "hello")).seq)
end

-- Opens, and tries to append; says how that ended.
function jobs.try(dsn)
  local store, message, code = convstore.open(dsn, { timeout = 1 })
  if not store then
    print("open", code, message)
    return
  end
  local result
  result, message, code = store:user("alice"):conversation("try")
  if result then
    result, message, code = result:append("user", "hello")
  end
  print(result and "appended" or "append", code, message)
  store:close()
end

-- Copies the database to a file, and says how that ended.
function jobs.backup(dsn, path)
  local store = assert(convstore.open(dsn, { timeout = 60 }))
  local ok, message, code = store:backup(path)
  print(ok and "copied" or code, message)
end

-- Opens when no more files can be opened, and again when they can.
function jobs.starve(dsn)
  local files = {}
  for file in function() return (io.open("/dev/null")) end do
    files[#files + 1] = file
  end
  local _, message, code = convstore.open(dsn, { timeout = 1 })
  print(code, message)
  for _, file in ipairs(files) do
    file:close()
  end
  collectgarbage()
  assert(conversation(dsn, "starved"):append("user", "hello"))
  print("appended")
end

-- Appends until the disk is full, then says what still works.
function jobs.fill(dsn)
  local chat = conversation(dsn, "full")
  local text = ("x"):rep(20000)
  local stored, message, code = 0
  repeat
    local ok
    ok, message, code = chat:append("user", text)
    stored = stored + (ok and 1 or 0)
  until not ok or stored == 10000
  print(code, message)
  print(stored)
  print(#assert(chat:history()))
  io.read("l")
  print(select("#", assert(chat:append("user", "once more"))))
end

-- Reads a history that does not fit into memory, then one message that does.
function jobs.small_memory(dsn, key)
  local chat = conversation(dsn, key)
  local ok, message = pcall(function() return assert(chat:history()) end)
  print(ok, message)
  collectgarbage()
  print(#assert(chat:message(1)).content)
end

-- Reads back what spec/support/real_data.lua has written.
function jobs.verify_real_data(dsn, folder)
  local real_data = require "spec.support.real_data"
  local store <close> = assert(convstore.open(dsn))
  print(real_data.verify(store, folder))
end

local job = assert(jobs[arg[1]], "no such job")
local ok, message = xpcall(job, debug.traceback, table.unpack(arg, 2))
if not ok then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
