-- The section on PostgreSQL: convstore beside plain C on libpq, on the server that tools/with_postgres has started.
local convstore = require "convstore"
local data = require "data"
local measure = require "measure"

local postgres = {}

local URL = os.getenv("CONVSTORE_TEST_POSTGRES_URL")
local SCHEMA, USER, STORED = "convstore_bench", "bench", 10000

local function say(text, ...)
  print((text:format(...)))
end

local function open(url)
  return assert(convstore.open(url, { schema = SCHEMA, migrate = true }))
end

-- A conversation of its own for each side, all alike.
local function fill(store, key)
  local chat = assert(store:user(USER):conversation(key))
  local batch = data.messages(data.texts(1000))
  for _ = 1, STORED // 1000 do assert(chat:append_many(batch)) end
  return chat
end

local function twin(url, chat, form)
  return require "twin_postgres".open(url, '"' .. SCHEMA .. '"', USER, chat.id, form)
end

-- Both sides must give the same tables, or they did not do the same work.
local function check_same(chat, c, n)
  local mine, other = assert(chat:history{ limit = n }), c:newest(n)
  assert(#mine == n and #other == n)
  for i = 1, n do
    for field, value in pairs(mine[i]) do assert(other[i][field] == value, field) end
    for field in pairs(other[i]) do assert(mine[i][field] ~= nil, field) end
  end
end

local function appends(rounds, store)
  local few, many = data.texts(100), data.texts(1000)
  local messages = data.messages(many)
  local chat, piped, tripped, copied = fill(store, "convstore"), fill(store, "pipeline"), fill(store, "trips"),
    fill(store, "copy")
  local pipeline, trips, copy = twin(URL, piped, "pipeline"), twin(URL, tripped, "trips"), twin(URL, copied, "copy")
  local mine = data.appends(chat, few)
  measure.row("append; C in one pipeline",
    measure.compare(rounds, #few, mine, function() pipeline:append(few) end), 1.15)
  measure.row("append; C in four round trips",
    measure.compare(rounds, #few, mine, function() trips:append(few) end), 0.85)
  measure.row(("append_many of %d; C by COPY, no row-level security"):format(#many),
    measure.compare(rounds, 1, function() assert(chat:append_many(messages)) end, function() copy:copy(many) end), 1.25)
  for name, c in pairs{ pipeline = pipeline, trips = trips, copy = copy } do
    -- Loaded by COPY or appended, what convstore reads must be whole.
    local read = assert(store:user(USER):conversation(name))
    assert(read.last_seq == #assert(read:history()) and read.last_seq > STORED, name)
    c:close()
  end
end

local function histories(rounds, store)
  local chat = fill(store, "history")
  local c = twin(URL, chat, "pipeline")
  check_same(chat, c, STORED)
  for _, n in ipairs{ 1000, STORED } do
    local calls = STORED // n
    measure.row(("history of %d (%d rounds of %d)"):format(n, rounds, calls), measure.compare(rounds, calls, function()
      for _ = 1, calls do assert(chat:history{ limit = n }) end
    end, function()
      for _ = 1, calls do c:newest(n) end
    end), 1.10)
  end
  c:close()
end

-- One more way to the server, by a proxy that lets everything wait for half of `trip_ms` in each direction.
local function far(proxy, trip_ms, keys)
  local way = proxy.start(URL)
  way:delay(trip_ms / 2)
  local url = way:dsn(URL)
  local store = open(url)
  local chats = {}
  for i, key in ipairs(keys) do chats[i] = assert(store:user(USER):conversation(key)) end
  return url, store, chats
end

local function distances(rounds)
  rounds = math.min(rounds, 50) -- most of it is waiting, which varies little
  local proxy = require "spec.support.proxy"
  local _, near_store, near = far(proxy, 0, { "near" })
  for _, trip_ms in ipairs{ 1, 10 } do
    local url, store, chats = far(proxy, trip_ms, { "far", "pipeline", "trips" })
    local texts = data.texts(trip_ms == 1 and 20 or 5)
    local mine = data.appends(chats[1], texts)
    local local_cost = measure.compare(rounds, #texts, mine, data.appends(near[1], texts))
    local pipeline, trips = twin(url, chats[2], "pipeline"), twin(url, chats[3], "trips")
    local piped = measure.compare(rounds, #texts, mine, function() pipeline:append(texts) end)
    local tripped = measure.compare(rounds, #texts, mine, function() trips:append(texts) end)
    pipeline:close()
    trips:close()
    store:close()
    local allowed = 1.1 * trip_ms + local_cost.other * 1e3
    say("| %d ms | %.2f ms | %.2f ms | %.2f ms | %.2f ms | ≤ %.2f ms | %s |", trip_ms, local_cost.one * 1e3,
      local_cost.other * 1e3, piped.other * 1e3, tripped.other * 1e3, allowed,
      local_cost.one * 1e3 <= allowed and "met" or "**missed**")
    io.stdout:flush()
  end
  near_store:close()
  proxy.clean()
end

-- Prints the section. Without a server there is nothing to measure.
function postgres.run(rounds)
  if not URL then
    say "\n## PostgreSQL\n\nLeft out: there is no server (see tools/with_postgres)."
    return
  end
  local library = require "twin_postgres"
  local store = open(URL)
  assert(store:migrate(0)) -- what a run that was killed has left
  assert(store:migrate())
  local probe = library.open(URL, '"' .. SCHEMA .. '"', USER, convstore.uuid(), "copy")
  say([[

## PostgreSQL

Server %s, libpq %d.%d, TCP on this machine, a superuser's login. The C side sends the same
statements from the same table, prepared, under the same role, so row-level security binds both. Where the
cluster lies in memory, as tools/with_postgres puts it, fsync costs nothing and what remains is the library's and
the server's own work. Conversations of %d messages; %d rounds of 100 appends, or of one call.
]], probe:server_version(), library.libpq_version // 10000, library.libpq_version % 10000, STORED, rounds)
  probe:close()
  measure.header("convstore", "plain C")
  appends(rounds, store)
  histories(rounds, store)
  say [[

With a proxy that injects a round trip between them and the server. *Near* is convstore by the same proxy without a
delay: the local cost. Allowed is 1.1 × the round trip, and the local cost.

| round trip | append | near | C in one pipeline | C in four round trips | goal | |
| --- | ---: | ---: | ---: | ---: | ---: | --- |]]
  distances(rounds)
  assert(store:migrate(0))
  store:close()
end

return postgres
