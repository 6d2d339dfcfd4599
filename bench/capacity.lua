-- What docs/conversation-models.md says of sizes and indexes: a database of a million messages of many users, object
-- by object; and on PostgreSQL what each index adds to an append, built ones and ones that a reader may miss.
local convstore = require "convstore"
local data = require "data"
local files = require "files"
local measure = require "measure"
local places = require "places"
local twin = require "twin"

local capacity = {}

local URL = os.getenv("CONVSTORE_TEST_POSTGRES_URL")

local function say(text, ...)
  print((text:format(...)))
  io.stdout:flush()
end

-- Users with conversations of `each` messages: what a bot that is talked to by many has, not one long talk.
local function fill(store, n_users, n_conversations, each)
  local batches, ids = {}, {}
  for i = 1, 10 do
    batches[i] = data.messages(data.zipf_texts(each))
    batches[i][1].role = i % 5 == 0 and "system" or batches[i][1].role
  end
  for u = 1, n_users do
    local user = store:user("user " .. u)
    assert(store:transaction(function()
      for c = 1, n_conversations do
        local chat = assert(user:create{ key = "key " .. c, title = "Conversation " .. c })
        assert(chat:append_many(batches[(u + c) % #batches + 1]))
        ids[#ids + 1] = { user, chat.id }
      end
      return true
    end))
  end
  local bytes, n = 0, 0
  for _, batch in ipairs(batches) do
    for _, message in ipairs(batch) do bytes, n = bytes + #message.content, n + 1 end
  end
  return ids, bytes / n
end

local SIZES = {
  sqlite = [[SELECT group_concat(name || ' ' || bytes, char(10))
    FROM (SELECT name, sum(pgsize) AS bytes FROM dbstat
    WHERE name LIKE '%convstore%' GROUP BY name HAVING bytes > 65536 ORDER BY bytes DESC)]],
  postgres = [[SELECT string_agg(relname || ' ' || bytes, '|') FROM (SELECT c.relname,
    pg_table_size(c.oid) AS bytes FROM pg_class AS c WHERE c.relnamespace = '%s'::regnamespace
    AND c.relkind IN ('r', 'i') AND pg_table_size(c.oid) > 65536 ORDER BY 2 DESC) AS o]],
}

local function print_sizes(place, database, n)
  say("\n| %s | bytes | bytes a message |\n| --- | ---: | ---: |", place.name)
  local sql = place.key == "sqlite" and SIZES.sqlite or SIZES.postgres:format(database.name)
  local sum = 0
  for name, bytes in database:sql(sql):gmatch("([^\n|]+) (%d+)") do
    sum = sum + bytes
    say("| `%s` | %d | %.1f |", name, bytes, bytes / n)
  end
  say("| all | %d | %.1f |", sum, sum / n)
end

local function print_latencies(place, store, ids, calls)
  say("\n| %s | median | 95 %% |\n| --- | ---: | ---: |", place.name)
  local texts = data.zipf_texts(calls)
  local function random_chat()
    local one = ids[math.random(#ids)]
    return assert(one[1]:get(one[2]))
  end
  local function latency(what, work)
    local chats = {}
    for i = 1, calls do chats[i] = random_chat() end
    local taken = measure.each(calls, function(i) work(chats[i], i) end)
    say("| %s | %s | %s |", what, measure.duration(measure.percentile(taken, 50)),
      measure.duration(measure.percentile(taken, 95)))
  end
  latency("history, newest 50", function(chat) assert(chat:history{ limit = 50 }) end)
  latency("history, newest 20 of the user's", function(chat)
    assert(chat:history{ limit = 20, role = "user" })
  end)
  latency("context, 4,000 tokens", function(chat) assert(chat:context{ max_tokens = 4000 }) end)
  latency("list of 20", function(chat) assert(store:user(chat.user_id):list{ limit = 20 }) end)
  latency("newest 50 over all conversations", function(chat)
    assert(store:user(chat.user_id):messages{ limit = 50 })
  end)
  latency("usage by day", function(chat) assert(store:user(chat.user_id):usage{ by = "day" }) end)
  latency("append, full", function(chat, i) assert(chat:append("user", texts[i])) end)
end

function capacity.capacity(_, quick)
  local n_users, n_conversations, each = quick and 20 or 1000, 10, 100
  local n = n_users * n_conversations * each
  for _, place in ipairs(places.all()) do
    local database = place.database("capacity")
    local store = database:open()
    local ids, content = fill(store, n_users, n_conversations, each)
    database:settle()
    say([[

## Capacity, %s

%d users with %d conversations of %d messages each: %d messages, texts of %.0f bytes in the mean.]],
      place.name, n_users, n_conversations, each, n, content)
    print_sizes(place, database, n)
    store:close()
    store = database:open(place.full)
    local searched = math.min(n_users, 50)
    local first = measure.each(searched, function(u) assert(store:user("user " .. u):search("bane")) end)
    local again = measure.each(searched * 4, function(i)
      assert(store:user("user " .. i % searched + 1):search("bane ce"))
    end)
    database:settle()
    say([[

First searches of %d users, which index their %d messages each: median %s. Their index: %.1f bytes a message.
Later searches for two words: median %s, 95 %% %s.]], searched, n_conversations * each,
      measure.duration(measure.percentile(first, 50)),
      database:index_bytes() / (searched * n_conversations * each),
      measure.duration(measure.percentile(again, 50)), measure.duration(measure.percentile(again, 95)))
    for _, one in ipairs(ids) do one[1] = store:user(one[1].id) end
    print_latencies(place, store, ids, quick and 50 or 2000)
    store:close()
    database:drop()
  end
end

-- ---- indexes ------------------------------------------------------------------------------------------------------

-- Built ones by their name; two together are those on updated_at, either of which keeps an update from being HOT.
local BUILT = {
  { "conversations_user_id_key_key" }, { "conversations_user_id_updated_at_idx" },
  { "conversations_updated_at_idx" },
  { "conversations_user_id_updated_at_idx", "conversations_updated_at_idx" },
  { "conversations_user_id_created_at_idx" }, { "conversations_deleted_at_idx" },
  { "conversations_search_pending_idx" }, { "messages_user_id_created_at_idx" }, { "messages_pinned_idx" },
}
-- What a reader may expect instead.
local EXPECTED = {
  "conversations (user_id)", "messages (user_id)", "messages (conversation_id)", "messages (created_at)",
  "messages (role)", "messages (conversation_id, created_at)", "messages (user_id, role)",
  "messages (user_id, conversation_id, role, seq)", "messages USING gin (metadata)",
  "messages USING gin (to_tsvector('simple', content))",
}

-- The bytes of write-ahead log of an append: unlike times they are the same on a busy machine. First some that are not
-- counted, which write whole pages to the log.
local function log_bytes(shell, side)
  for _ = 1, 3 do side() end
  local from = shell:run("SELECT pg_current_wal_insert_lsn()"):match("%S+")
  for _ = 1, 5 do side() end
  local written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '%s')"
  return tonumber((shell:run(written:format(from)))) / 500
end

local function row(shell, bytes, what, rounds, sides)
  shell:run("VACUUM; CHECKPOINT")
  local result = measure.compare(rounds, 100, table.unpack(sides))
  measure.plain_row(what, result, ("%.0f"):format(log_bytes(shell, sides[1])),
    ("%.0f"):format(log_bytes(shell, sides[2])), bytes and ("%.1f"):format(bytes) or "")
end

-- What an append costs with an index, beside a schema of the same rows without it.
function capacity.postgres_indexes(rounds, quick)
  if not URL then return say "\nLeft out: there is no server (see tools/with_postgres)." end
  local n_users, n_conversations, each = quick and 2 or 40, 50, 20
  rounds = quick and 3 or math.min(rounds, 60)
  local n = n_users * n_conversations * each
  local stores, sides, texts = {}, {}, data.texts(100)
  local shell = require "spec.support.psql".new(URL)
  for i, name in ipairs{ "convstore_with", "convstore_without" } do
    stores[i] = assert(convstore.open(URL, { schema = name, migrate = true, durability = "normal" }))
    assert(stores[i]:migrate(0))
    assert(stores[i]:migrate())
    fill(stores[i], n_users, n_conversations, each)
    local chats = {}
    for u = 1, n_users do chats[u] = assert(stores[i]:user("user " .. u):conversation("key 1")) end
    sides[i] = function()
      for j, text in ipairs(texts) do assert(chats[j % n_users + 1]:append("user", text)) end
    end
  end
  shell:run("VACUUM ANALYZE")
  local function size_of(index)
    return tonumber((shell:run(("SELECT pg_relation_size('convstore_with.%s')"):format(index)))) / n
  end
  say([[

## Indexes on PostgreSQL

Two schemas of the same rows, %d users with %d conversations of %d messages; %d rounds of 100 appends by the
library to each, one client, durability normal. Then the bytes of write-ahead log of an append, with and
without, and the index's bytes a message when the rows were loaded.

| index | with | without | ratio of medians | median of ratios | log with | log without | bytes |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |]], n_users, n_conversations, each, rounds)
  row(shell, nil, "nothing: both alike", rounds, sides)
  for _, names in ipairs(BUILT) do
    local definitions, bytes = {}, 0
    for i, name in ipairs(names) do
      definitions[i] = shell:run(("SELECT pg_get_indexdef('convstore_without.%s'::regclass)"):format(name))
      bytes = bytes + size_of(name)
      shell:run(("DROP INDEX convstore_without.%s"):format(name))
    end
    row(shell, bytes, "`" .. table.concat(names, "`, `") .. "`", rounds, sides)
    for _, definition in ipairs(definitions) do shell:run(definition) end
  end
  for _, definition in ipairs(EXPECTED) do
    shell:run(("CREATE INDEX expected ON convstore_with.%s"):format(definition))
    row(shell, size_of("expected"), "not built: `" .. definition .. "`", rounds, sides)
    shell:run("DROP INDEX convstore_with.expected")
  end
  for _, store in ipairs(stores) do
    assert(store:migrate(0))
    store:close()
  end
  shell:close()
end

-- What a reader may expect on SQLite: an append with it, beside a copy of the file without.
function capacity.sqlite_indexes(rounds, quick)
  local n, texts = quick and 2000 or 100000, data.texts(100)
  rounds = math.min(rounds, 60)
  local path = files.fresh("expected.db")
  local id = files.fill(path, n)
  say([[

## Indexes that there are not, on SQLite

Plain C, durability normal, a conversation of %d messages; %d rounds of %d appends to a copy with the index
and to one without. The last column is the index's bytes a message.

| index | with | without | ratio of medians | median of ratios | bytes |
| --- | ---: | ---: | ---: | ---: | ---: |]], n, rounds, #texts)
  for _, definition in ipairs(EXPECTED) do
    if not definition:find("USING gin", 1, true) then
      local sides, bytes = {}, nil
      for i, sql in ipairs{ "CREATE INDEX expected ON convstore_" .. definition, "" } do
        local copied = files.fresh(("expected-%d.db"):format(i))
        files.copy(path, copied)
        local side = twin.open(copied, files.user_id, id, "normal", sql)
        sides[i] = { close = function() side:close() end, append = function() side:append(texts) end }
        if i == 1 then
          local db = twin.sql(copied)
          bytes = select(2, db:query("SELECT sum(pgsize) FROM dbstat WHERE name = 'expected'")) / n
          db:close()
        end
      end
      local result = measure.compare(rounds, #texts, sides[1].append, sides[2].append)
      measure.plain_row("`" .. definition .. "`", result, ("%.1f"):format(bytes))
      for _, side in ipairs(sides) do side.close() end
    end
  end
end

-- A role that is rare in a long conversation: what a history of it costs without an index on roles.
function capacity.roles(_, quick)
  local n, calls = quick and 2000 or 100000, quick and 3 or 20
  say([[

## A rare role

A conversation of %d messages of which the first 10 are tool results; the median of %d calls.

| | newest 10 of role tool | newest 10 of role user |
| --- | ---: | ---: |]], n, calls)
  for _, place in ipairs(places.all()) do
    local database = place.database("roles")
    local store = database:open()
    local chat = assert(store:user(files.user_id):conversation(files.key))
    for i = 1, 10 do assert(chat:append("tool", "result " .. i, { tool_call_id = "c" .. i })) end
    local batch = data.messages(data.texts(1000))
    for _ = 1, n // 1000 do assert(chat:append_many(batch)) end
    database:settle()
    local function median_of(role)
      local taken = measure.each(calls, function()
        assert(#assert(chat:history{ role = role, limit = 10 }) == 10)
      end)
      return measure.duration(measure.percentile(taken, 50))
    end
    say("| %s | %s | %s |", place.name, median_of("tool"), median_of("user"))
    store:close()
    database:drop()
  end
end

return capacity
