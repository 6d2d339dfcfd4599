-- The section on searches: on SQLite, and on PostgreSQL where there is one.
local data = require "data"
local files = require "files"
local measure = require "measure"
local places = require "places"

local search = {}

local KINDS = { "one word", "two words", "phrase" }
local PART = 512 -- the most messages that are indexed at once

local function say(text, ...)
  print((text:format(...)))
  io.stdout:flush()
end

-- A user's messages: the texts in turn over n conversations, each in batches of its own.
local function write(store, user_id, texts, n)
  local user, each = store:user(user_id), #texts // n
  for i = 1, n do
    local messages = data.messages(table.move(texts, (i - 1) * each + 1, i * each, 1, {}))
    assert(assert(user:create{ title = "Conversation " .. i }):append_many(messages))
  end
  return user
end

local function run(user, texts)
  local n = 0
  for _, text in ipairs(texts) do n = n + #assert(user:search(text)) end
  return n / #texts
end

-- Asks all kinds of queries, each in a row of the table; and all together.
local function ask(place, user, texts, n, goal)
  local all = {}
  local function print_row(kind, taken, hits, limit)
    local p50, p95 = measure.percentile(taken, 50), measure.percentile(taken, 95)
    local wanted = limit and ("≤ %d ms"):format(limit * 1e3) or ""
    local met = not limit and "" or p50 <= limit and "met" or "**missed**"
    say("| %s, %s | %s | %s | %s | %s | %s |", kind, place.name, measure.duration(p50),
      measure.duration(p95), hits, wanted, met)
  end
  for _, kind in ipairs(KINDS) do
    local list = data.queries(kind, n, texts)
    local hits = 0
    run(user, table.move(list, 1, 5, 1, {}))
    local taken = measure.each(n, function(i) hits = hits + #assert(user:search(list[i])) end)
    for _, seconds in ipairs(taken) do all[#all + 1] = seconds end
    print_row(kind, taken, ("%.1f"):format(hits / n))
  end
  table.sort(all)
  print_row(("all %d"):format(#all), all, "", goal)
end

-- What a first search costs, which indexes what there is: all of the user's, and one part of others, the median of ten.
local function first_searches(place, store, user, n)
  local word = data.queries("one word", 1, data.zipf_texts(1))[1]
  local first = measure.once(function() assert(user:search(word)) end)
  local parts, again = {}, {}
  for i = 1, 10 do
    local other = write(store, "part " .. i, data.zipf_texts(PART), 8)
    parts[i] = measure.once(function() assert(other:search(word)) end)
    again[i] = measure.once(function() assert(other:search(word)) end)
  end
  table.sort(parts)
  table.sort(again)
  return ("%s: the first search, which indexes all %d messages, %s; one that indexes a part of %d, %s, and"
    .. " the same again %s"):format(place.name, n, measure.duration(first), PART, measure.duration(parts[5]),
    measure.duration(again[5]))
end

local function sizes(place, database, texts)
  local bytes = #table.concat(texts)
  return ("%s: the index has %.0f bytes a message, the texts %.0f"):format(place.name,
    database:index_bytes() / #texts, bytes / #texts)
end

-- One user of a million messages, on SQLite.
local function million(place)
  local database, pool = place.database("million"), nil
  local store = database:open()
  for _ = 1, 100 do
    pool = data.zipf_texts(10000)
    write(store, files.user_id, pool, 20)
  end
  local user = store:user(files.user_id)
  local first = measure.once(function() assert(user:search("bane")) end)
  say([[

The same for a user of 1,000,000 messages, whose first search takes %s.

| queries | median | 95 %% | hits on the page | goal | |
| --- | ---: | ---: | ---: | ---: | --- |]], measure.duration(first))
  ask(place, user, pool, 20)
  store:close()
end

function search.search(rounds, quick)
  local n, n_others, each = quick and 1100 or 11000, quick and 4 or 20, quick and 500 or 10000
  local n_conversations, n_queries = n // 55, quick and 20 or 200
  local texts = data.zipf_texts(n)
  say([[

## Search

A user with %d messages in %d conversations, among %d others with %d messages each; all are indexed. Texts of
20-45 words by Zipf's law from 20,000. Queries of words and phrases that occur; pages of 20.

| queries | median | 95 %% | hits on the page | goal | |
| --- | ---: | ---: | ---: | ---: | --- |]], n, n_conversations, n_others, each)
  local notes, alone_rows = {}, {}
  for _, place in ipairs(places.all()) do
    local database, alone = place.database("crowd"), place.database("alone")
    local store, alone_store = database:open(), alone:open()
    for i = 1, n_others do
      run(write(store, "other " .. i, data.zipf_texts(each), each // 50), { "bane" })
    end
    local user, alone_user = write(store, files.user_id, texts, n_conversations),
      write(alone_store, files.user_id, texts, n_conversations)
    run(alone_user, { "bane" })
    notes[#notes + 1] = sizes(place, alone, texts)
    notes[#notes + 1] = first_searches(place, store, user, n)
    database:settle()
    alone:settle()
    ask(place, user, texts, n_queries, place.key == "sqlite" and 0.03 or 0.05)
    local mixed = {}
    for _, kind in ipairs(KINDS) do
      table.move(data.queries(kind, 4, texts), 1, 4, #mixed + 1, mixed)
    end
    alone_rows[#alone_rows + 1] = { place, measure.compare(math.min(rounds, 60), #mixed,
      function() run(user, mixed) end, function() run(alone_user, mixed) end) }
    store:close()
    alone_store:close()
    database:drop()
    alone:drop()
  end
  say ""
  measure.header("among others", "alone")
  for _, row in ipairs(alone_rows) do measure.row("search, " .. row[1].name, row[2], 1.10) end
  say ""
  for _, note in ipairs(notes) do say("- %s.", note) end
  if not quick then million(places.all()[1]) end
end

return search
