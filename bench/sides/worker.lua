-- One side of the comparison with what people would use instead, in a process of its own:
-- lua5.4 bench/sides/worker.lua SIDE KIND DSN SCHEMA TEXTS, started by bench/workers.lua.
--
-- SIDE is a module of this folder: convstore, plain_c, luasql or luadbi; KIND is sqlite or postgres; TEXTS is a file of
-- what is appended, a line each. It takes orders on standard input and answers each with one line; see the table below.
-- bench/sides/sqlmodel_worker.py takes the same orders. "quit" ends it. Each times its calls by itself, by
-- the kernel's clock, which is the same in all processes, so that the pipes between them cost nobody anything.
local clock = require "twin".clock

local side, kind, dsn, schema, texts_path = table.unpack(arg)
local texts = {}
for line in io.lines(texts_path) do texts[#texts + 1] = line end

local open = require("sides." .. side).open
local api = open(kind, dsn, schema, "full")
local taken, next_text = {}, 0

local function message()
  next_text = next_text % #texts + 1
  return next_text % 2 == 1 and "user" or "assistant", texts[next_text]
end

-- What is called: a function for one call, with the order's arguments.
local calls = {}

function calls.append(user_id, id)
  local chat = api.conversation(user_id, id)
  return function() return chat.append(message()) end
end

function calls.append_many(user_id, id, n)
  local chat, messages = api.conversation(user_id, id), {}
  for i = 1, tonumber(n) do
    local role, content = message()
    messages[i] = { role = role, content = content }
  end
  return function() return chat.append_many(messages) end
end

function calls.newest(user_id, id, n)
  local chat = api.conversation(user_id, id)
  n = tonumber(n)
  return function() return chat.newest(n) end
end

function calls.context(user_id, id, tokens)
  local chat = api.conversation(user_id, id)
  tokens = tonumber(tokens)
  return function() return chat.context(tokens) end
end

function calls.list(user_id, id, n)
  local user = api.conversation(user_id, id)
  n = tonumber(n)
  return function() return user.list(n) end
end

-- Another word each time, of those that the order names.
function calls.search(user_id, id, n, ...)
  local user, words, i = api.conversation(user_id, id), { ... }, 0
  n = tonumber(n)
  return function()
    i = i % #words + 1
    return user.search(words[i], n)
  end
end

local function resident(field)
  local status <close> = assert(io.open("/proc/self/status"))
  return math.tointeger(status:read("a"):match(field .. ":%s*(%d+) kB"))
end

-- One line of a result, to compare it with the other sides': the fields that all of them have.
local function line_of(row)
  local last = row.last_message
  if last then return table.concat({ row.id, row.last_seq, last.role, last.preview:sub(1, 40) }, "\t") end
  return table.concat({ row.seq or "", row.role, row.content }, "\t")
end

local orders = {}

-- run CALLS NAME ARGUMENT...: makes that many calls; the seconds of all of them together.
function orders.run(n, name, ...)
  local call = calls[name](...)
  local times = taken[name] or {}
  taken[name] = times
  collectgarbage() -- each round pays for its own garbage alone
  local sum = 0
  for _ = 1, tonumber(n) do
    local start = clock()
    call()
    local seconds = clock() - start
    sum = sum + seconds
    times[#times + 1] = seconds
  end
  return ("%.9f"):format(sum)
end

-- durability full|normal: opens the database anew, on SQLite with that setting.
function orders.durability(level)
  api = open(kind, dsn, schema, level)
  collectgarbage()
  return "good"
end

-- forget: what has been timed until now was for warming up.
function orders.forget()
  taken = {}
  return "good"
end

-- percentile NAME PERCENT: of the single calls of that name
function orders.percentile(name, percent)
  local times = taken[name]
  table.sort(times)
  return ("%.9f"):format(times[math.max(1, math.ceil(#times * tonumber(percent) / 100))])
end

-- show PATH NAME ARGUMENT...: writes one call's result to a file.
function orders.show(path, name, ...)
  local file <close> = assert(io.open(path, "w"))
  for _, row in ipairs((calls[name](...)())) do assert(file:write(line_of(row), "\n")) end
  return "good"
end

-- memory USER ID: reads a long conversation message by message. How many, and the KiB of resident memory before and
-- those that this added at most.
function orders.memory(user_id, id)
  local chat = api.conversation(user_id, id)
  collectgarbage()
  local clear <close> = assert(io.open("/proc/self/clear_refs", "w"))
  assert(clear:write("5") and clear:flush())
  local before, count = resident("VmRSS"), 0
  for _, row_seq in chat.each() do
    count = count + 1
    assert(row_seq == count)
  end
  return ("%d %d %d"):format(count, before, resident("VmHWM") - before)
end

io.stdout:setvbuf("line")
print("ready")
for order in io.lines() do
  local words = {}
  for word in order:gmatch("[^\t]+") do words[#words + 1] = word end
  if words[1] == "quit" then break end
  print(orders[words[1]](table.unpack(words, 2)))
end
