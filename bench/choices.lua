-- What decisions of the SQLite schema rest on, measured on plain C; see docs/decisions.
local convstore = require "convstore"
local data = require "data"
local files = require "files"
local measure = require "measure"
local twin = require "twin"

local choices = {}

-- The index on a user's messages by time as the first migration made it; since then it has the conversation in its key.
local NARROW = [[DROP INDEX convstore_messages_user_id_created_at_idx;
  CREATE INDEX convstore_messages_user_id_created_at_idx
  ON convstore_messages (user_id, created_at DESC, id DESC, role, token_count)]]

-- The share of each index in an append: the same file with it and without it.
function choices.indexes(rounds)
  local texts = data.texts(100)
  local path = files.fresh("indexes.db")
  local id = files.fill(path, 100000)
  print(([[

## Indexes

Plain C, durability normal, a conversation of 100,000 messages; %d rounds of %d appends to a file with all
indexes and to a copy without this one.
The last pair is the index on messages by time as it is and as it was, without the conversation.

| index | with | without | ratio of medians | median of ratios |
| --- | ---: | ---: | ---: | ---: |]]):format(rounds, #texts))
  for _, index in ipairs{
    "convstore_conversations_user_id_key_key", "convstore_conversations_user_id_updated_at_idx",
    "convstore_conversations_user_id_created_at_idx", "convstore_conversations_deleted_at_idx",
    "convstore_conversations_updated_at_idx", "convstore_messages_user_id_created_at_idx",
    "convstore_messages_pinned_idx", "convstore_conversations_search_pending_idx",
    "convstore_conversations_user_id_deleted_idx", "wide instead of narrow",
  } do
    local sides = {}
    for i, sql in ipairs{ "", index:find("^convstore_") and "DROP INDEX " .. index or NARROW } do
      local copied = files.fresh(("indexes-%d.db"):format(i))
      files.copy(path, copied)
      sides[i] = twin.open(copied, files.user_id, id, "normal", sql)
    end
    measure.plain_row(index, measure.compare(rounds, #texts, function() sides[1]:append(texts) end,
      function() sides[2]:append(texts) end))
    for _, side in ipairs(sides) do side:close() end
  end
end

-- SQL that makes the messages' table anew, without a rowid.
local function without_rowid()
  local file <close> = assert(io.open("csrc/sqlite/migrations/0001_init.up.sql"))
  local sql = file:read("a")
  local parts = { "DROP TABLE convstore_messages;" }
  parts[2] = sql:match("CREATE TABLE convstore_messages %(.-%) STRICT") .. ", WITHOUT ROWID;"
  for index in sql:gmatch("CREATE INDEX convstore_messages_%w[^;]-ON convstore_messages [^;]*;") do
    parts[#parts + 1] = index
  end
  return (table.concat(parts, "\n"):gsub("{{user_id_type}}", "TEXT"))
end

-- 50,000 messages in 20 conversations, written in turn as a bot's are, on one side of the comparison.
local function fill_in_turn(path, ids, sql, batch)
  local twins = {}
  for i, id in ipairs(ids) do
    twins[i] = twin.open(path, files.user_id, id, "normal", i == 1 and sql or "")
  end
  for _ = 1, 250 do
    for _, c in ipairs(twins) do c:append_many(batch) end
  end
  return twins
end

-- The messages' table with a rowid and without, for short texts and for long ones.
function choices.tables(rounds)
  print(([[

## Rowid or not

Plain C, durability normal, 50,000 messages in 20 conversations, written and read in turn; %d rounds of 100
calls.

| | rowid | WITHOUT ROWID | ratio of medians | median of ratios |
| --- | ---: | ---: | ---: | ---: |]]):format(rounds))
  for _, times in ipairs{ 1, 10 } do
    local path, ids = files.fresh("tables.db"), {}
    local store = assert(convstore.open(path))
    for i = 1, 20 do ids[i] = assert(store:user(files.user_id):create()).id end
    store:close()
    local paths, sides, texts = {}, {}, data.texts(10, times)
    for side, sql in ipairs{ "", without_rowid() } do
      paths[side] = files.fresh(("tables-%d.db"):format(side))
      files.copy(path, paths[side])
      sides[side] = fill_in_turn(paths[side], ids, sql, texts)
    end
    local function compare(what, call)
      local function run(side)
        return function()
          for _, c in ipairs(sides[side]) do call(c) end
        end
      end
      measure.plain_row(("%s, %d bytes"):format(what, #table.concat(texts) // #texts),
        measure.compare(rounds, 100, run(1), run(2)))
    end
    local few = table.move(texts, 1, 5, 1, {})
    compare("append", function(c) c:append(few) end)
    compare("newest 50", function(c) for _ = 1, 5 do c:newest(50) end end)
    local sizes = {}
    for side, path_of_side in ipairs(paths) do
      for _, c in ipairs(sides[side]) do c:close() end
      local file <close> = assert(io.open(path_of_side))
      sizes[side] = file:seek("end") / 1e6
    end
    print(("| file | %.1f MB | %.1f MB | %.3f | |"):format(sizes[1], sizes[2], sizes[1] / sizes[2]))
  end
end

-- Many processes on one file: our busy handler against SQLite's own.
function choices.contention(rounds)
  local processes, calls = 8, 10 * rounds
  print(([[

## Contention

%d processes append %d messages each to one conversation, as fast as they can: convstore with its busy
handler, and plain C with SQLite's (`PRAGMA busy_timeout = 10000`). The worst of the processes' figures; three
runs.

| | durability | appends a second | median | 99 %% | slowest |
| --- | --- | ---: | ---: | ---: | ---: |]]):format(processes, calls))
  for _ = 1, 3 do
    for _, durability in ipairs{ "full", "normal" } do
      for _, side in ipairs{ "convstore", "twin" } do
        local path = files.fresh("contention.db")
        local id = files.fill(path, 0)
        local start, children, worst = twin.clock(), {}, { 0, 0, 0 }
        for i = 1, processes do
          local arguments = table.concat({ side, path, id, durability, calls }, " ")
          children[i] = assert(io.popen(arg[-1] .. " bench/contention.lua " .. arguments))
        end
        for _, child in ipairs(children) do
          for i = 1, 3 do worst[i] = math.max(worst[i], (assert(child:read("n"), "a child failed"))) end
          assert(child:close())
        end
        local rate = processes * calls / (twin.clock() - start)
        print(("| %s | %s | %.0f | %.2f ms | %.1f ms | %.0f ms |"):format(side, durability, rate,
          table.unpack(worst)))
      end
    end
  end
end

return choices
