-- Calls every method of every handle with random arguments, on handles that are alive, closed or gone, with callbacks
-- and hooks that raise, yield, close the store or call back in. Usage:
--
--   lua5.4 spec/fuzz/methods.lua SECONDS [SEED [memory|file|postgres [ROUNDS]]]
--
-- Each answer must be a value, or nil, a message and a known code, never "internal"; or an argument error was raised.
-- After each round store:check() must find nothing. Which methods there are is read from the module, so a new one is
-- called without a change here. A round is repeated by its seed, as far as the collector's moments allow.
-- PostgreSQL: CONVSTORE_TEST_POSTGRES_URL, as tools/with_postgres sets it; it uses a schema of its own.
local convstore = require "convstore"
local core = require "convstore.core"
local random_texts = require "spec.support.random"
local shell = require "spec.support.shell"
local values = require "spec.fuzz.values"
local lfs = require "lfs"

local CODES = {}
for code in ("not_found invalid too_large conflict busy timeout unavailable schema full readonly corrupt " ..
  "denied unsupported"):gmatch("%S+") do
  CODES[code] = true
end

-- What an argument error says, and what a Lua function raises that was told to do the impossible.
local ARGUMENT_ERRORS = { "bad argument #", "calling '.-' on bad self", "is closed", "cannot be assigned",
  "was changed while", "count_tokens must return", "attempt to yield", "attempt to call", "attempt to index",
  "attempt to compare", "'for' ", "C stack overflow", "stack overflow", "cannot resume", "not a table",
  "invalid key to 'next'" }

local SECONDS = tonumber(arg[1]) or 10
local SEED = math.tointeger(arg[2]) or os.time()
local BACKEND = arg[3] or "file"
local ROUNDS = math.tointeger(arg[4]) or math.huge
local CALLS = 400 -- of a round

local METHODS = {} -- { name, function, kind of self }
local COUNTS = {}
local function learn(kind, methods)
  for name, method in pairs(methods) do
    if type(method) == "function" then METHODS[#METHODS + 1] = { kind .. "." .. name, method, kind } end
  end
end
learn("store", core.store)
learn("user", core.user)
learn("conversation", core.conversation)
learn("module", convstore)
for name, fn in pairs(core) do -- what the module keeps to itself
  if type(fn) == "function" and convstore[name] ~= fn then
    METHODS[#METHODS + 1] = { "core." .. name, fn, "module" }
  end
end
table.sort(METHODS, function(a, b) return a[1] < b[1] end)
assert(#METHODS > 45, "the methods are not where they were")

local random, pool, store, dsn, options -- of the running round
-- Handles that it knows, the dead among them.
local stores, users, conversations, transactions = {}, {}, {}, {}
local trace, n_calls, depth, n_raised, n_failed, n_values = {}, 0, 0, 0, 0, 0
local one_call

local function fail(...)
  io.write("seed ", SEED, ", round ", tostring(pool and pool.round), ": ", string.format(...), "\n")
  for i = math.max(1, #trace - 12), #trace do io.write("  ", trace[i], "\n") end
  os.exit(1)
end

local function shown(value)
  if type(value) == "string" then return ("%q"):format(#value > 60 and value:sub(1, 60) .. "..." or value) end
  if math.type(value) then return tostring(value) end
  if type(value) == "table" then
    local out = {}
    for k, v in next, value do
      out[#out + 1] = (type(k) == "string" and k:sub(1, 20) or type(k)) .. "=" .. (type(v) == "table" and "{}"
        or type(v) == "string" and ("%q"):format(v:sub(1, 20)) or math.type(v) and tostring(v) or type(v))
      if #out > 6 then break end
    end
    return "{" .. table.concat(out, ",") .. "}"
  end
  return type(value)
end

-- A function for a hook or a callback. What it does is drawn when it is called.
local function callback()
  return function(...)
    local kind = random:int(1, 20)
    if kind <= 6 then return random:int(0, 100) end
    if kind <= 9 then error(random:chance(50) and values.RAISED or { values.RAISED }, 0) end
    if kind <= 11 then return coroutine.yield(1) end
    if kind <= 14 and depth < 3 then
      one_call()
      return random:int(0, 9)
    end
    if kind == 15 and random:chance(20) then
      store:close()
      return 1
    end
    if kind == 16 then collectgarbage() end
    if kind == 17 and type((...)) == "table" then
      local key = next((...))
      if key ~= nil then rawset((...), key, nil) end
    end
    if kind == 18 then return nil, "no", "custom" end
    if kind == 19 then return pool:any(3) end
    return ...
  end
end

local function check_raised(name, message)
  n_raised = n_raised + 1
  if type(message) == "table" or message == values.RAISED or message == nil then return end
  if type(message) ~= "string" then
    if name == "store.transaction" then return end -- what its function raises is raised again
    fail("%s raised a %s", name, type(message))
  end
  if message:find(values.RAISED, 1, true) then return end
  for _, pattern in ipairs(ARGUMENT_ERRORS) do
    if message:find(pattern) then return values.learn(name, message) end
  end
  if name == "store.transaction" or name == "user.conversations" or name == "conversation.each" or
    name:find("iterator") then -- what a loop has no other way to tell
    local code = message:match("^(%l[%l_]*): ")
    if CODES[code] or message:find("custom") then return end
  end
  fail("%s raised: %s", name, message)
end

-- Ids and cursors to be used again, and handles.
local function learn_from(value)
  if type(value) == "userdata" then
    local meta = debug.getmetatable(value)
    local list = meta and ({ ["convstore.store"] = stores, ["convstore.user"] = users,
      ["convstore.conversation"] = conversations, ["convstore.transaction"] = transactions })[meta.__name]
    if not list then return end
    pool:keep(list, value)
    pool:keep(pool.handles, value)
    if meta.__name == "convstore.conversation" then pool:keep(pool.ids, value.id) end
  elseif type(value) == "table" then
    local id = rawget(value, "id") or rawget(value, "conversation_id")
    if type(id) == "string" then pool:keep(pool.ids, id) end
  end
end

local function check_answer(name, first, ...)
  if first ~= nil then
    n_values = n_values + 1
    learn_from(first)
    if type(first) == "table" then learn_from(rawget(first, 1)) end
    if type((...)) == "string" then pool:keep(pool.cursors, (...)) end
    return
  end
  local message, code = ...
  if message == nil and code == nil then return end -- a function without results, an iterator at its end
  -- Its function's own answer may be anything.
  if name == "store.transaction" and not CODES[code] and code ~= "internal" then return end
  n_failed = n_failed + 1
  if type(message) ~= "string" or not CODES[code] then
    fail("%s gave nil, %s, %s", name, shown(message), shown(code))
  end
  if message:sub(1, #code + 2) ~= code .. ": " then
    fail("%s gave the message %q for %s", name, message, code)
  end
  if message:find("\n") then fail("%s gave a message of more than one line: %q", name, message) end
end

local function checked(name, ok, ...)
  if ok then
    check_answer(name, ...)
  else
    check_raised(name, (...))
  end
end

-- A store that is opened here waits for nobody, and is no server's but the round's.
local function open_arguments()
  local opening = random:chance(60) and {} or pool:table(1)
  if getmetatable(opening) == nil then
    rawset(opening, "timeout", 0.05)
    if rawget(opening, "schema") == nil then rawset(opening, "schema", options.schema) end
    local dsns = { ":memory:", "other.db", dsn, "", "sqlite:", "sqlite:a.db", "nul\0", "mysql://x" }
    return random:pick(dsns), opening
  end
  return ":memory:", opening
end

local function self_of(kind)
  local list = kind == "store" and stores or kind == "user" and users or conversations
  if random:chance(95) and #list > 0 then return random:pick(list) end
  return pool:any(3)
end

local function walk(name, iterator)
  for _ = 1, random:int(0, 8) do
    local ok, value = pcall(iterator)
    checked(name .. " iterator", ok, value)
    if not ok or value == nil then return end
  end
end

-- One call of a random method, maybe in a coroutine that is dropped where it yields.
function one_call()
  depth = depth + 1
  local method = random:pick(METHODS)
  local name, fn, kind = table.unpack(method)
  local arguments, n = {}, random:int(0, 4)
  for i = 1, n do arguments[i] = pool:argument(name, i) end
  if name == "module.open" then
    arguments[1], arguments[2] = open_arguments()
    n = math.max(n, 2)
  elseif kind ~= "module" then
    table.insert(arguments, 1, self_of(kind))
    n = n + 1
  elseif name == "core.begin" then
    arguments[1], n = self_of("store"), math.max(n, 1)
  elseif name == "core.commit" or name == "core.rollback" then
    arguments[1], n = #transactions > 0 and random:pick(transactions) or pool:any(2), math.max(n, 1)
  end
  if name == "store.transaction" and random:chance(80) then
    arguments[2], n = callback(), math.max(n, 2)
  elseif (name == "conversation.append" or name == "conversation.append_many") and random:chance(70) then
    arguments[2] = name == "conversation.append" and pool:message(1) or pool:array(1)
    arguments[3], n = nil, 2
  elseif name == "store.close" and random:chance(90) or name == "store.migrate" and random:chance(80) then
    depth = depth - 1
    return -- rarely, or there would be little else to see
  end
  n_calls = n_calls + 1
  COUNTS[name] = (COUNTS[name] or 0) + 1
  local words = {}
  for i = 1, n do words[i] = shown(arguments[i]) end
  trace[#trace + 1] = ("%s%s(%s)"):format(("  "):rep(depth - 1), name, table.concat(words, ", "))
  if #trace > 200 then trace = table.move(trace, 150, #trace, 1, {}) end
  if random:chance(15) then
    local thread = coroutine.create(fn)
    checked(name, coroutine.resume(thread, table.unpack(arguments, 1, n)))
    if random:chance(30) then coroutine.close(thread) end
  else
    local results = table.pack(pcall(fn, table.unpack(arguments, 1, n)))
    checked(name, table.unpack(results, 1, results.n))
    if type(results[2]) == "function" and (name == "conversation.each" or name == "user.conversations") then
      walk(name, results[2])
    end
  end
  depth = depth - 1
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- A JSON value goes in and comes back as it was: through the database, and through a conversation's handle.
local function json_round_trip()
  local user = assert(store:user("json"))
  local conversation, message = user:create()
  if not conversation then return assert(message:find("^%l+: ")) end
  local value = { value = pool:json(1) }
  local stored, why = conversation:append("user", "x", { metadata = value })
  if not stored then return assert(why:find("^%l+: ")) end
  if not same(stored.metadata, value) then fail("a JSON value came back otherwise") end
  local again = conversation:message(stored.seq)
  if again and not same(again.metadata, value) then fail("a JSON value was stored otherwise") end
  n_calls = n_calls + 3
end

-- Nothing is left of the handles, coroutines and transactions of a round.
local function forget()
  stores, users, conversations, transactions = {}, {}, {}, {}
  pool.handles = {}
  collectgarbage()
  collectgarbage()
end

local function check_store()
  -- In peace: without callbacks, and however busy the machine is.
  local judge, message = convstore.open(dsn, { timeout = 120, schema = options.schema, migrate = true })
  if dsn == ":memory:" then judge = store end
  if not judge then fail("the database does not open: %s", message) end
  local ok, problems, why = pcall(judge.check, judge)
  if not ok and dsn == ":memory:" and problems:find("is closed") then return end
  if not ok then fail("check raised: %s", problems) end
  if not problems and why:find("^schema") then -- in memory, where there is no other store to open
    assert(judge:migrate())
    problems, why = judge:check()
  end
  if not problems then fail("check: %s", why) end
  if #problems > 0 then fail("check found: %s %s", problems[1].problem, problems[1].detail) end
  if judge ~= store then judge:close() end
end

local function start_round(number, folder)
  -- Lua's own generator, since half of the time went into drawing numbers.
  math.randomseed(SEED, number)
  random = setmetatable({ int = function(_, low, high) return math.random(low, high) end }, random_texts)
  pool = values.new(random, callback)
  pool.round = number
  options = { timeout = BACKEND == "memory" and 60 or 0.2, slow_ms = random:int(0, 2) }
  if random:chance(50) then options.log = callback() end
  if random:chance(30) then options.count_tokens = callback() end
  if random:chance(20) then options.text = "replace" end
  if random:chance(50) then options.durability = "normal" end
  if BACKEND == "postgres" then
    options.schema, options.timeout, options.migrate = "convstore_fuzz", 5, true
    dsn = assert(os.getenv("CONVSTORE_TEST_POSTGRES_URL"), "there is no server")
    local cleaner <close> = assert(convstore.open(dsn, { schema = options.schema, migrate = false }))
    assert(cleaner:migrate(0))
  elseif BACKEND == "memory" then
    dsn = ":memory:"
  else
    dsn = folder .. "/round" .. number .. ".db"
  end
  local message
  store, message = convstore.open(dsn, options)
  if not store then fail("open: %s", message) end
  learn_from(store)
  for _, id in ipairs { "alice", "bob", 7 } do
    local alive, user = pcall(store.user, store, id) -- the log may have closed it
    learn_from(user)
    local ok, conversation = pcall(core.user.conversation, user, "telegram:7")
    if alive and ok and conversation then learn_from(conversation) end
  end
end

local function round(number, folder)
  start_round(number, folder)
  -- In every third round the collector works all the time, so that finalizers run in the midst of everything.
  if number % 3 == 0 then
    collectgarbage("incremental", 100, 400)
  elseif number % 3 == 1 then
    collectgarbage("incremental", 200, 100)
  else
    collectgarbage("generational")
  end
  for i = 1, CALLS do
    depth = 0
    one_call()
    if i % 50 == 0 then pcall(json_round_trip) end
    if i % 10 == 0 then
      -- The dead stay among the others; the living must not run out.
      local ok, user = pcall(store.user, store, random:pick { "alice", "bob", 7 })
      if not ok then
        store = convstore.open(dsn, options) or store -- it is busy where a call has left a transaction open
        learn_from(store)
      else
        learn_from(user)
        local good, conversation = pcall(user.create, user)
        if good and conversation then learn_from(conversation) end
      end
    end
  end
  forget()
  check_store()
  pcall(store.close, store)
  store = nil
end

local folder = shell.folder()
local here = lfs.currentdir()
local deadline = os.time() + SECONDS
local number = 0
while os.time() < deadline and number < ROUNDS do
  number = number + 1
  -- Names of files are drawn as well: what is opened or backed up by such a name lies there.
  assert(lfs.mkdir(folder .. "/" .. number))
  assert(lfs.chdir(folder .. "/" .. number))
  round(number, folder)
  assert(lfs.chdir(here))
end
shell.remove(folder)
for _, method in ipairs(METHODS) do
  if number > 20 and not COUNTS[method[1]] then fail("%s was never called", method[1]) end
end
local summary = "methods on %s: %d calls of %d methods in %d rounds: " ..
  "%d values, %d failures, %d raised; seed %d\n"
io.write(summary:format(BACKEND, n_calls, #METHODS, number, n_values, n_failed, n_raised, SEED))
