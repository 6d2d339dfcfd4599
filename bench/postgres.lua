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

-- A bot's database and the conversations of the sides. In one of a few rows the server would scan tables instead of
-- looking into indexes, on the side that happened to plan first.
local function prepare(store)
  for i = 1, 20 do
    local other = store:user("other " .. i)
    assert(store:transaction(function()
      for _ = 1, 100 do assert(other:create()) end
      return true
    end))
  end
  local chats = {}
  for _, key in ipairs{ "many", "copy", "convstore", "pipeline", "trips", "history" } do
    chats[key] = fill(store, key)
  end
  local shell = require "spec.support.psql".new(URL)
  shell:run("VACUUM ANALYZE")
  shell:close()
  return chats
end

-- First of all, while the conversations are fresh: each append leaves a dead version of the conversation's row
-- until the next vacuum, and the foreign key's check of every row that follows has to pass them.
local function loads(rounds, chats)
  local many = data.texts(1000)
  local messages = data.messages(many)
  local chat, copied = chats.many, chats.copy
  local copy = twin(URL, copied, "copy")
  measure.row(("append_many of %d; C by COPY, no row-level security"):format(#many),
    measure.compare(rounds, 1, function() assert(chat:append_many(messages)) end,
      function() copy:copy(many) end), 1.25)
  -- What COPY has loaded is whole for convstore, or it would have done less.
  assert(copied:refresh() and #assert(copied:history()) == copied.last_seq and copied.last_seq > STORED)
  copy:close()
end

local function appends(rounds, chats)
  local few = data.texts(100)
  local piped, tripped = chats.pipeline, chats.trips
  local pipeline, trips = twin(URL, piped, "pipeline"), twin(URL, tripped, "trips")
  local mine = data.appends(chats.convstore, few)
  measure.row("append; C in one pipeline",
    measure.compare(rounds, #few, mine, function() pipeline:append(few) end), 1.15)
  measure.row("append; C in four round trips",
    measure.compare(rounds, #few, mine, function() trips:append(few) end), 0.85)
  for _, read in ipairs{ piped, tripped } do
    assert(read:refresh() and #assert(read:history()) == read.last_seq and read.last_seq > STORED)
  end
  pipeline:close()
  trips:close()
end

local function histories(rounds, chat)
  local c = twin(URL, chat, "pipeline")
  check_same(chat, c, STORED)
  for _, n in ipairs{ 1000, STORED } do
    local calls = STORED // n
    local result = measure.compare(rounds, calls, function()
      for _ = 1, calls do assert(chat:history{ limit = n }) end
    end, function()
      for _ = 1, calls do c:newest(n) end
    end)
    measure.row(("history of %d (%d rounds of %d)"):format(n, rounds, calls), result, 1.10)
  end
  c:close()
end

-- One more way to the server, by a proxy that lets everything wait for half of `trip_ms` in each direction.
local function way_of(proxy, trip_ms)
  local way = proxy.start(URL)
  way:delay(trip_ms / 2)
  local url = way:dsn(URL)
  local store = open(url)
  local function chat(key) return assert(store:user(USER):conversation(key)) end
  return {
    store = store,
    chat = chat,
    twin = function(form) return twin(url, chat("far " .. form), form) end, -- with a conversation of its own
  }
end

local function distances(rounds)
  rounds = math.min(rounds, 50) -- most of it is waiting, which varies little
  local proxy = require "spec.support.proxy"
  local near = way_of(proxy, 0)
  local near_twin, near_chat = near.twin("pipeline"), near.chat("near")
  for _, trip_ms in ipairs{ 1, 10 } do
    local far = way_of(proxy, trip_ms)
    local texts = data.texts(trip_ms == 1 and 20 or 5)
    local pipeline, trips = far.twin("pipeline"), far.twin("trips")
    local mine = data.appends(far.chat("far"), texts)
    local function against(other) return measure.compare(rounds, #texts, mine, other) end
    local function milliseconds(result, side) return result[side] * 1e3 end

    local pings = measure.compare(rounds, #texts, function() pipeline:ping(#texts) end,
      function() near_twin:ping(#texts) end)
    local injected = milliseconds(pings, "one") - milliseconds(pings, "other")
    local beside_near = against(data.appends(near_chat, texts))
    local append, cost = milliseconds(beside_near, "one"), milliseconds(beside_near, "other")
    local allowed = 1.1 * injected + cost
    say("| %d ms | %.2f ms | %.2f ms | %.2f ms | %.2f ms | %.2f ms | ≤ %.2f ms | %s |", trip_ms, injected,
      cost, append, milliseconds(against(function() pipeline:append(texts) end), "other"),
      milliseconds(against(function() trips:append(texts) end), "other"), allowed,
      append <= allowed and "met" or "**missed**")
    io.stdout:flush()
    pipeline:close()
    trips:close()
    far.store:close()
  end
  near_twin:close()
  near.store:close()
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
statements from the same table, prepared, under the same role, so row-level security binds both. Where
the cluster lies in memory, as tools/with_postgres puts it, fsync costs nothing and what remains is the
library's and the server's own work. Conversations of %d messages beside 2,000 empty ones; %d rounds of 100
appends, or of one call.
]], probe:server_version(), library.libpq_version // 10000, library.libpq_version % 10000, STORED, rounds)
  probe:close()
  measure.header("convstore", "plain C")
  local chats = prepare(store)
  loads(rounds, chats)
  appends(rounds, chats)
  histories(rounds, chats.history)
  say [[

With a proxy that injects a round trip between them and the server. *Measured* is what it really adds to
an empty round trip, which includes that processes that sleep must wake. *Near* is convstore by the same
proxy without a delay: the local cost. Allowed is 1.1 × the measured round trip, and the local cost.

| round trip | measured | near | append | C in one pipeline | C in four round trips | goal | |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |]]
  distances(rounds)
  assert(store:migrate(0))
  store:close()
end

return postgres
