-- What the design of the search index rests on: others, each by plain SQL on SQLite, on the same messages; see
-- docs/decisions.
local convstore = require "convstore"
local data = require "data"
local files = require "files"
local measure = require "measure"
local twin = require "twin"

local designs = {}

local USER = files.user_id

-- One row for each word of a message, from the texts, which here are words with single blanks between them.
local WORDS_OF = [[SELECT DISTINCT m.user_id, w.value, m.conversation_id, m.seq FROM convstore_messages AS m,
  json_each('["' || replace(m.content, ' ', '","') || '"]') AS w]]
local OF_USER = " WHERE m.user_id = ?1"
local OF_CONVERSATION = " WHERE m.user_id = ?1 AND m.conversation_id = ?2"
local FTS = [[CREATE VIRTUAL TABLE found USING fts5(content, %scontent = '',
  tokenize = 'unicode61 remove_diacritics 2')]]
local FTS_HITS = [[SELECT m.conversation_id, m.seq
  FROM found JOIN convstore_messages AS m ON m.rowid = found.rowid
  WHERE found MATCH ?2 AND m.user_id = ?1 ORDER BY bm25(found) LIMIT 20]]
local FTS_FILL = "INSERT INTO found (rowid, content) SELECT rowid, content FROM convstore_messages AS m"
local FTS_BYTES = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'found%'"

-- make: before all; others, mine: index the messages of those and of the user's; ask: two words as ?2 and ?3, or
-- query() of them as ?2; forget: the index of one conversation.
local all = {
  {
    name = "a scan of the user's rows, LIKE (neither case nor accents folded)", order = "newest first",
    ask = [[SELECT conversation_id, seq FROM convstore_messages WHERE user_id = ?1
      AND content LIKE '%' || ?2 || '%' AND content LIKE '%' || ?3 || '%' ORDER BY created_at DESC LIMIT 20]],
  },
  {
    name = "a row per user, term, conversation and seq, WITHOUT ROWID", order = "none",
    make = [[CREATE TABLE words (user_id TEXT, word TEXT, conversation_id TEXT, seq INTEGER,
      PRIMARY KEY (user_id, word, conversation_id, seq)) WITHOUT ROWID]],
    others = "INSERT INTO words " .. WORDS_OF .. " WHERE m.user_id <> ?1",
    mine = "INSERT INTO words " .. WORDS_OF .. OF_USER,
    ask = [[SELECT a.conversation_id, a.seq FROM words AS a JOIN words AS b ON b.user_id = a.user_id
      AND b.conversation_id = a.conversation_id AND b.seq = a.seq
      WHERE a.user_id = ?1 AND a.word = ?2 AND b.word = ?3 LIMIT 20]],
    bytes = "SELECT sum(pgsize) FROM dbstat WHERE name = 'words'",
    forget = "DELETE FROM words WHERE (user_id, word, conversation_id, seq) IN (" .. WORDS_OF ..
      OF_CONVERSATION .. ")",
  },
  {
    name = "FTS5, the user filtered behind MATCH", order = "best first",
    make = FTS:format(""),
    others = FTS_FILL .. " WHERE user_id <> ?1",
    mine = FTS_FILL .. OF_USER,
    ask = FTS_HITS,
    query = function(one, two) return one .. " " .. two end,
    bytes = FTS_BYTES,
    forget = [[INSERT INTO found (found, rowid, content)
      SELECT 'delete', rowid, content FROM convstore_messages AS m]] .. OF_CONVERSATION,
  },
  {
    name = "FTS5, the user a term in MATCH", order = "best first",
    make = FTS:format("who, "),
    others = [[INSERT INTO found (rowid, who, content)
      SELECT rowid, replace(user_id, ' ', ''), content FROM convstore_messages WHERE user_id <> ?1]],
    mine = [[INSERT INTO found (rowid, who, content)
      SELECT rowid, replace(user_id, ' ', ''), content FROM convstore_messages AS m]] .. OF_USER,
    ask = FTS_HITS,
    query = function(one, two) return ("who : %s AND content : (%s %s)"):format(USER, one, two) end,
    bytes = FTS_BYTES,
    forget = [[INSERT INTO found (found, rowid, who, content)
      SELECT 'delete', rowid, replace(user_id, ' ', ''), content FROM convstore_messages AS m]] ..
      OF_CONVERSATION,
  },
}

local function write(store, user_id, n, n_conversations)
  local user, ids = store:user(user_id), {}
  for i = 1, n_conversations do
    local chat = assert(user:create())
    assert(chat:append_many(data.messages(data.zipf_texts(n // n_conversations))))
    ids[i] = chat.id
  end
  return ids
end

local function words_of(queries, i)
  return queries[i]:match("(%S+) (%S+)")
end

local function median(times)
  return measure.duration(measure.percentile(times, 50))
end

local function print_row(name, index_time, bytes, times, hits, order, forget)
  print(("| %s | %s | %s | %s | %s | %.1f | %s | %s |"):format(name, index_time, bytes, median(times),
    measure.duration(measure.percentile(times, 95)), hits, order, forget))
  io.stdout:flush()
end

local function measure_design(design, path, queries, ids, n_all)
  local db = twin.sql(path)
  local index_time, bytes, forget = "", "", ""
  if design.make then
    db:exec(design.make)
    db:query(design.others, USER)
    index_time = measure.duration(measure.once(function() db:query(design.mine, USER) end))
    local _, size = db:query(design.bytes)
    bytes = ("%.0f"):format(size / n_all)
  end
  local hits = 0
  local function ask(i)
    local one, two = words_of(queries, i)
    local n
    if design.query then
      n = db:query(design.ask, USER, design.query(one, two))
    else
      n = db:query(design.ask, USER, one, two)
    end
    hits = hits + n
  end
  ask(1)
  hits = 0
  local times = measure.each(#queries, ask)
  if design.forget then
    forget = median(measure.each(10, function(i) db:query(design.forget, USER, ids[i]) end))
  end
  print_row(design.name, index_time, bytes, times, hits / #queries, design.order, forget)
  db:close()
end

-- Ours, by the library itself. A purge deletes the conversation, too: what that takes without an index is taken off.
local function measure_ours(path, plain_path, queries, n, ids)
  local store, plain_store = assert(convstore.open(path, { durability = "normal" })),
    assert(convstore.open(plain_path, { durability = "normal" }))
  local user, plain_user = store:user(USER), plain_store:user(USER)
  local index_time = measure.once(function() assert(user:search("bane")) end)
  local db = twin.sql(path)
  local _, bytes = db:query("SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%convstore_search_%'")
  db:close()
  local hits = 0
  local times = measure.each(#queries, function(i) hits = hits + #assert(user:search(queries[i])) end)
  local purged, plainly = {}, {}
  local function purge(of, id)
    return measure.once(function() assert(assert(of:get(id)):purge()) end)
  end
  for i = 1, 10 do
    purged[i], plainly[i] = purge(user, ids[i]), purge(plain_user, ids[i])
    assert(user:search("bane")) -- indexes what shared its segments anew
  end
  table.sort(purged)
  table.sort(plainly)
  print_row("ours", measure.duration(index_time), ("%.0f"):format(bytes / n), times, hits / #queries,
    "best first", measure.duration(purged[5] - plainly[5]))
  store:close()
  plain_store:close()
end

-- What a trigger that keeps FTS5 up to date adds to each append.
local function by_trigger(rounds, path, id)
  local texts, sides = data.zipf_texts(100), {}
  print(([[

FTS5 by trigger: plain C, to a conversation of that user; %d rounds of %d appends.

| | with | without | ratio of medians | median of ratios |
| --- | ---: | ---: | ---: | ---: |]]):format(rounds, #texts))
  local trigger = FTS:format("") .. [[;
    INSERT INTO found (rowid, content) SELECT rowid, content FROM convstore_messages;
    CREATE TRIGGER feed AFTER INSERT ON convstore_messages BEGIN
      INSERT INTO found (rowid, content) VALUES (new.rowid, new.content);
    END]]
  for _, durability in ipairs{ "full", "normal" } do
    for i, sql in ipairs{ trigger, "" } do
      local copy = files.fresh(("trigger-%d.db"):format(i))
      files.copy(path, copy)
      sides[i] = twin.open(copy, USER, id, durability, sql)
    end
    measure.plain_row("append, " .. durability, measure.compare(rounds, #texts,
      function() sides[1]:append(texts) end, function() sides[2]:append(texts) end))
    for _, side in ipairs(sides) do side:close() end
  end
end

function designs.search_designs(rounds, quick)
  local n, n_others, each = quick and 1100 or 11000, quick and 4 or 20, quick and 500 or 10000
  local path = files.fresh("designs.db")
  local store = assert(convstore.open(path, { durability = "normal" }))
  for i = 1, n_others do write(store, "other " .. i, each, each // 50) end
  local ids = write(store, USER, n, n // 55)
  local texts = {}
  for _, id in ipairs(ids) do
    for message in assert(store:user(USER):get(id)):each() do texts[#texts + 1] = message.content end
  end
  store:close()
  local queries = data.queries("two words", quick and 20 or 200, texts)
  print(([[

## Designs of a search index

SQLite; a user with %d messages in %d conversations among %d others with %d each, durability normal. %d
queries of two words that occur together; 20 hits at most. Bytes of the index are per message that is in it.
Where a user's index stands in one with others', it is theirs that is there first. The last column is the
deletion of one conversation from the index alone, the median of ten.

| | index of %d | bytes a message | median | 95 %% | hits | order | deletion |
| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |]])
    :format(n, #ids, n_others, each, #queries, n))
  local copy = files.fresh("designs-copy.db")
  for _, design in ipairs(all) do
    files.copy(path, files.fresh("designs-copy.db"))
    measure_design(design, copy, queries, ids, n + n_others * each)
  end
  local plain = files.fresh("designs-plain.db")
  files.copy(path, files.fresh("designs-copy.db"))
  files.copy(path, plain)
  measure_ours(copy, plain, queries, n, ids)
  by_trigger(math.min(rounds, 60), path, ids[#ids])
end

return designs
