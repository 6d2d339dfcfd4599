-- What convstore costs beside plain C on the same statements and beside what people would use instead, and what it
-- costs as a database grows.
--
-- bench/run [SECTION...]. Without an argument those with goals are run: alternatives (both databases); append, history,
-- growth and memory (SQLite); postgres; and context, lists, append_search and search (both). What they print becomes
-- docs/benchmarks.md, and docs/benchmarks.svg is drawn anew. The other sections show what decisions rest on: indexes,
-- postgres_indexes, tables, contention, search_designs and capacity.
-- BENCH_QUICK=1 is short and shows that everything runs, not how fast it is; its document goes to build/bench.
-- BENCH_DIR is the folder for the databases; by default build/bench/data.
local capacity = require "capacity"
local choices = require "choices"
local comparison = require "comparison"
local data = require "data"
local designs = require "designs"
local environment = require "environment"
local files = require "files"
local measure = require "measure"
local postgres = require "postgres"
local queries = require "queries"
local search = require "search"

local quick = os.getenv("BENCH_QUICK") == "1"
local rounds = quick and 5 or 200

-- What is printed is kept for the document.
-- luacheck: globals print
local printed, show = {}, print
function print(text)
  printed[#printed + 1] = text
  show(text)
end

local function say(text, ...)
  print((text:format(...)))
end

local sections = {}

function sections.append()
  local few, many = data.texts(100), data.texts(1000)
  say([[

## Append

To a conversation of 10,000 messages. A round of append is %d calls by each side, a transaction each; a round
of append_many is one call of %d messages by each. convstore gives the stored messages back as Lua tables, the
C side does not. %d rounds.
]], #few, #many, rounds)
  measure.header("convstore", "plain C")
  for _, durability in ipairs{ "full", "normal" } do
    files.with_pair("append-" .. durability, 10000, durability, function(chat, c)
      local result = measure.compare(rounds, #few, data.appends(chat, few), function() c:append(few) end)
      measure.row("append, " .. durability, result, 1.10)
    end)
  end
  local messages = data.messages(many)
  for _, durability in ipairs{ "full", "normal" } do
    files.with_pair("many-" .. durability, 10000, durability, function(chat, c)
      local result = measure.compare(rounds, 1, function() assert(chat:append_many(messages)) end,
        function() c:append_many(many) end)
      measure.row(("append_many of %d, %s"):format(#many, durability), result, 1.15)
    end)
  end
end

function sections.history()
  say [[

## History into Lua tables

The newest messages of a conversation of 10,000, as Lua tables of 7 fields. The C side fills the same tables
by hand, straight from `sqlite3_step`.
]]
  measure.header("convstore", "plain C")
  files.with_pair("history", 10000, "full", function(chat, c)
    for _, n in ipairs{ 100, 1000, 10000 } do
      local calls = 10000 // n
      local result = measure.compare(rounds, calls, function()
        for _ = 1, calls do assert(chat:history{ limit = n }) end
      end, function()
        for _ = 1, calls do c:newest(n) end
      end)
      measure.row(("history of %d (%d rounds of %d)"):format(n, rounds, calls), result, 1.10)
    end
  end)
end

function sections.growth()
  local small, large, calls = quick and 2000 or 10000, quick and 20000 or 1000000, 100
  say([[

## Growth

The same call on a conversation of %d messages and on one of %d; %d rounds of %d calls. Durability is normal:
with full, the disk's flush would hide a difference.
]], large, small, rounds, calls)
  measure.header("at " .. large, "at " .. small)
  local large_path, small_path = files.fresh("growth-large.db"), files.fresh("growth-small.db")
  files.fill(large_path, large)
  files.fill(small_path, small)
  local large_store, large_chat = files.open(large_path, "normal")
  local small_store, small_chat = files.open(small_path, "normal")
  local texts = data.texts(calls)
  local function newest(chat)
    return function()
      for _ = 1, calls do assert(chat:history{ limit = 50 }) end
    end
  end
  local result = measure.compare(rounds, calls, data.appends(large_chat, texts),
    data.appends(small_chat, texts))
  measure.row("append", result, 1.25)
  measure.row("newest 50", measure.compare(rounds, calls, newest(large_chat), newest(small_chat)), 1.25)
  large_store:close()
  small_store:close()
end

function sections.memory()
  local n, goal = quick and 10000 or 100000, 4
  local path = files.fresh("memory.db")
  files.fill(path, n)
  -- In a process of its own, whose memory no other section has touched.
  local child <close> = assert(io.popen(table.concat({ arg[-1], "bench/memory.lua", path }, " ")))
  local count, kib = child:read("n", "n")
  assert(count == n, "bench/memory.lua did not read all messages")
  say([[

## Memory

The highest resident memory during `for message in chat:each()` over %d messages, less that just before the
loop, in a fresh process. SQLite's page cache is in it.

| | added | goal | |
| --- | ---: | ---: | --- |
| each over %d | %.2f MiB | < %d MiB | %s |]], n, n, kib / 1024, goal,
    kib / 1024 < goal and "met" or "**missed**")
end

function sections.postgres()
  postgres.run(rounds)
end

for _, more in ipairs{ comparison, queries, search, choices, designs, capacity } do
  for name, section in pairs(more) do
    sections[name] = function() return section(rounds, quick) end
  end
end

local all = { "alternatives", "append", "history", "growth", "memory", "postgres", "context", "lists",
  "append_search", "search" }
local chosen = #arg > 0 and arg or all
for _, name in ipairs(chosen) do
  if not sections[name] then
    local names = {}
    for known in pairs(sections) do names[#names + 1] = "[" .. known .. "]" end
    table.sort(names)
    io.stderr:write("usage: bench/run ", table.concat(names, " "), "\n")
    os.exit(2)
  end
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  io.stderr:write("wrote ", path, "\n")
end

local folder = (chosen == all and not quick) and "docs/" or "build/bench/"
local started = os.time()
print [[
# Benchmarks

Made by `make bench`, which measures everything anew and writes this page. Ratios are what counts: a
machine's speed drifts by the second, so what is compared takes turns in the same run and is divided within
each round.
]]
if quick then say("**A quick run, too short to judge by.**\n") end
environment.print(files.folder)
for i, name in ipairs(chosen) do
  if name ~= "alternatives" and (i == 1 or chosen[i - 1] == "alternatives") then
    print [[

# Against plain C, and as databases grow

Both sides run in one process, with the same statements and settings on the same data (SQLite: files of
the same bytes; PostgreSQL: conversations alike in one database), in alternating blocks whose order is
shuffled each round. Times are medians per call. *Ratio of medians* divides them; *median of ratios* is taken
over the rounds, one side divided by the other of the same round. A goal is met if both keep it.]]
  end
  local svg = sections[name]()
  if svg then write(folder .. "benchmarks.svg", svg) end
  files.clean()
end
say("\nThis run took %d minutes.", (os.time() - started + 59) // 60)
if chosen == all then write(folder .. "benchmarks.md", table.concat(printed, "\n") .. "\n") end
