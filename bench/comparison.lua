-- The section on what people would use instead: LuaSQL, LuaDBI, and SQLModel on SQLAlchemy, beside convstore and plain
-- C, with the same work on the same schema. Each side is a process of its own; see workers.lua and sides/.
-- This file does the work and checks it; comparison_report.lua prints what came out.
local chart = require "chart"
local data = require "data"
local files = require "files"
local measure = require "measure"
local places = require "places"
local report = require "comparison_report"
local shell = require "spec.support.shell"
local workers = require "workers"

local comparison = {}

local TEXTS, WINDOW, PAGE, TOKENS, BATCH = 1000, 50, 20, 4000, 1000

-- What is measured: the order, in whose conversation, and how many calls of it a round has, also where a side is slow:
-- few, so that most rounds of a busy machine are not interrupted, and medians hold.
-- Goals: at least so many times as fast as SQLModel with objects.
local WORK = {
  { key = "append", what = "append, durable", who = "own", order = { "append" }, calls = 5, few = 5,
    goals = { sqlite = 15, postgres = 7 } },
  -- Without the disk's flush, which costs every side the same. On PostgreSQL it stays.
  { key = "append_normal", what = "append, `synchronous = NORMAL`", who = "own", order = { "append" },
    calls = 5, few = 5, only = "sqlite", durability = "normal" },
  { key = "append_many", what = "batch of 1,000", who = "own", order = { "append_many", BATCH }, calls = 1,
    few = 1 },
  { key = "load", what = "load of 1,000", who = "talk", order = { "newest", TEXTS }, calls = 2, few = 1,
    goals = { sqlite = 10, postgres = 5 }, binding_goal = 1.8 },
  { key = "newest", what = "window: newest 50 of 1,000", who = "talk", order = { "newest", WINDOW },
    calls = 10, few = 1, goals = { sqlite = 80, postgres = 50 } },
  { key = "context", what = "window: 4,000 tokens", who = "talk", order = { "context", TOKENS }, calls = 10,
    few = 1 },
  { key = "list", what = "list of 20 with last message", who = "lister", order = { "list", PAGE }, calls = 10,
    few = 1, goals = { sqlite = 60, postgres = 50 } },
  { key = "search", what = "search, a page of 20", who = "searcher", order = { "search", PAGE }, calls = 3,
    few = 3 },
}

local function work_of(kind)
  local list = {}
  for _, work in ipairs(WORK) do
    if not work.only or work.only == kind.key then list[#list + 1] = work end
  end
  return list
end

-- ---- what all sides find ------------------------------------------------------------------------------------------

local function write_conversations(store, user_id, n, batch_of)
  local user = store:user(user_id)
  for i = 1, n, 50 do
    assert(store:transaction(function()
      for j = i, math.min(i + 49, n) do
        assert(assert(user:create{ title = "Conversation " .. j }):append_many(data.messages(batch_of(j))))
      end
      return true
    end))
  end
  return { user_id, assert(user:list{ limit = 1 })[1].id }
end

local function part(texts, from, n) return table.move(texts, from, from + n - 1, 1, {}) end

-- A talk of 1,000 messages, a user with many conversations of 100, one with 11,000 messages to search in, and for each
-- side a conversation to append to. Their users and ids, by what WORK calls them or by the side's name.
local function fill(store, n, texts, searched)
  local user, targets = store:user("bench"), {}
  local talk = assert(user:create())
  assert(talk:append("system", "You are a helpful bot."))
  assert(talk:append_many(data.messages(part(texts, 2, TEXTS - 1))))
  targets.talk = { "bench", talk.id }
  for _, side in ipairs(workers.sides) do
    local own = assert(user:create())
    assert(own:append_many(data.messages(texts)))
    targets[side.name] = { "bench", own.id }
  end
  targets.lister = write_conversations(store, "lister", n,
    function(i) return part(texts, i % 9 * 100 + 1, 100) end)
  targets.searcher = write_conversations(store, "searcher", #searched // 55,
    function(i) return part(searched, i * 55 - 54, 55) end)
  assert(store:user("searcher"):search("bane")) -- what is not indexed yet would be, in the first round
  return targets
end

-- The words that are searched for: of all frequencies, some on every page and some on few.
local function words_to_search(searched)
  local words = {}
  while #words < 20 do
    local word = data.queries("one word", 1, searched)[1]
    if #word > 4 then words[#words + 1] = word end
  end
  return words
end

-- ---- the same work? -----------------------------------------------------------------------------------------------

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

-- Whatever is read, every side must read the same. Searches differ: convstore finds words, the best first, and LIKE
-- what holds the letters, the newest first. Each hit must hold them, and no page may hold fewer than convstore's.
local function check_reads(folder, started, work, arguments_of, words)
  local first = {}
  for _, worker in ipairs(started) do
    if worker:does(work) then
      local path = folder .. "/shown"
      for _, word in ipairs(work.key == "search" and words or { false }) do
        local arguments = arguments_of(worker, work, word and { word })
        assert(worker:ask("show", path, table.unpack(arguments)) == "good")
        local lines = lines_of(path)
        if word then
          for _, line in ipairs(lines) do
            assert(line:find(word, 1, true), worker.side.name .. ": " .. line)
          end
        end
        first[word] = first[word] or lines
        if word then
          assert(#lines >= #first[word], worker.side.name .. " found too little for " .. word)
        else
          places.check_same(first[word], lines, ("%s of %s"):format(work.what, worker.side.name))
        end
      end
    end
  end
end

-- Nothing may be wrong with what was appended, as convstore sees it, and each message must be the next text.
local function check_writes(name, place, target, appended, texts)
  local store = place:open()
  for _, found in ipairs(assert(store:check())) do
    error(name .. ": " .. found.problem .. ", " .. found.detail, 0)
  end
  local chat = assert(store:user(target[1]):get(target[2]))
  assert(chat.last_seq == TEXTS + appended, "messages are missing")
  for message in chat:each{ after = TEXTS } do
    assert(message.content == texts[(message.seq - 1) % TEXTS + 1], "another text was appended")
  end
  store:close()
end

-- ---- rounds -------------------------------------------------------------------------------------------------------

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- All sides in turn, in another order each round. run(worker) gives seconds; two rounds before are for warming up. The
-- sides' medians, and the medians of their ratios to plain C and to convstore in the same round.
local function in_rounds(n, sides, run)
  local times, order = {}, table.move(sides, 1, #sides, 1, {})
  for _, worker in ipairs(sides) do times[worker.side.name] = {} end
  for round = -1, n do
    for _, worker in ipairs(shuffle(order)) do
      local seconds = run(worker)
      if round > 0 then table.insert(times[worker.side.name], seconds) end
    end
  end
  local result = { median = {}, to_c = {}, to_convstore = {} }
  for name, mine in pairs(times) do
    result.median[name] = measure.median(mine)
    for field, other in pairs{ to_c = times["plain C"], to_convstore = times.convstore } do
      local ratios = {}
      for i = 1, n do ratios[i] = mine[i] / other[i] end
      result[field][name] = measure.median(ratios)
    end
  end
  return result
end

local function those_that_do(started, work)
  local doing = {}
  for _, worker in ipairs(started) do
    if worker:does(work) then doing[#doing + 1] = worker end
  end
  return doing
end

-- One kind of database. On SQLite each side has a file of the same bytes, on PostgreSQL all share a schema.
local function compare(kind, rounds, n, texts, searched, folder)
  local words = words_to_search(searched)
  local database = kind.database("compare")
  local store = database:open("normal")
  local targets = fill(store, n, texts, searched)
  store:close()
  database:settle()
  local started, missing = {}, {}
  for _, side in ipairs(workers.sides) do
    local lacks = workers.missing(side, kind.key)
    if lacks then
      missing[#missing + 1] = ("%s is left out: there is no %s here."):format(side.name, lacks)
    else
      local own = kind.key == "sqlite" and database:copy("compare-" .. #started) or database
      started[#started + 1] = workers.start(folder, side, own)
    end
  end

  local function arguments_of(worker, work, more)
    local target = targets[work.who == "own" and worker.side.name or work.who]
    local arguments = { work.order[1], target[1], target[2], work.order[2] }
    return table.move(more or {}, 1, #(more or {}), #arguments + 1, arguments)
  end

  local results, p = {}, { 50, 95, 99 }
  for _, work in ipairs(work_of(kind)) do
    if work.who ~= "own" then check_reads(folder, started, work, arguments_of, words) end
  end
  for _, work in ipairs(work_of(kind)) do
    for _, worker in ipairs(started) do
      worker:ask("forget")
      if work.durability then assert(worker:ask("durability", work.durability) == "good") end
    end
    local doing = those_that_do(started, work)
    local more = work.key == "search" and words
    local result = in_rounds(rounds, doing, function(worker)
      local calls = worker.side.few and work.few or work.calls
      if work.who == "own" then worker.appended = worker.appended + calls * (work.order[2] or 1) end
      return worker:run(calls, table.unpack(arguments_of(worker, work, more)))
    end)
    if work.durability then
      for _, worker in ipairs(started) do assert(worker:ask("durability", "full") == "good") end
    end
    result.percentiles = {}
    for _, worker in ipairs(doing) do
      local of_side = {}
      for i, percent in ipairs(p) do
        of_side[i] = tonumber(worker:ask("percentile", work.order[1], percent))
      end
      result.percentiles[worker.side.name] = of_side
    end
    results[work.key] = result
    io.stderr:write(".")
  end
  for _, worker in ipairs(started) do worker:stop() end
  for _, worker in ipairs(started) do
    check_writes(worker.side.name, worker.place, targets[worker.side.name], worker.appended, texts)
  end
  database:drop()
  return { name = kind.name, key = kind.key, work = work_of(kind), results = results, missing = missing }
end

-- ---- growth and memory --------------------------------------------------------------------------------------------

-- The same call on a long conversation and on a short one, and the memory that reading one of middle length takes. All
-- sides share one database: each is compared with itself.
local function grow(kind, rounds, sizes, folder)
  local database = kind.database("compare_growth")
  local store, targets = database:open("normal"), {}
  local user, batch = store:user("bench"), data.messages(data.texts(1000))
  for name, size in pairs(sizes) do
    local chat = assert(user:create())
    for _ = 1, size // #batch do assert(chat:append_many(batch)) end
    targets[name] = chat.id
  end
  store:close()
  database:settle()
  local growth, memory = {}, {}
  for _, side in ipairs(workers.sides) do
    if not workers.missing(side, kind.key) then
      local worker = workers.start(folder, side, database)
      if side.module ~= "plain_c" then
        local count, before, added = worker:ask("memory", "bench", targets.middle):match("(%d+) (%d+) (%d+)")
        assert(tonumber(count) == sizes.middle, side.name .. " did not read all messages")
        memory[side.name] = { before = tonumber(before) / 1024, added = tonumber(added) / 1024 }
      end
      worker:stop()
      -- A relationship loads all messages: what that means at this size was seen with 1,000.
      if side.style ~= "objects" then
        worker, growth[side.name] = workers.start(folder, side, database), {}
        for _, work in ipairs{ WORK[5], WORK[1] } do
          local calls, ratios, order = 10, {}, { "large", "small" }
          for round = -1, rounds do
            local taken = {}
            for _, name in ipairs(shuffle(order)) do
              taken[name] = worker:run(calls, work.order[1], "bench", targets[name], work.order[2])
            end
            if round > 0 then ratios[round] = taken.large / taken.small end
          end
          growth[side.name][work.key] = measure.median(ratios)
        end
        worker:stop()
      end
    end
    io.stderr:write(".")
  end
  database:drop()
  return growth, memory
end

-- Prints the section; gives its chart.
function comparison.alternatives(_, quick)
  local rounds, n = quick and 2 or 60, quick and 50 or 500
  local sizes = { small = quick and 2000 or 10000, middle = quick and 3000 or 100000,
    large = quick and 5000 or 1000000 }
  local texts, searched = data.texts(TEXTS), data.zipf_texts(quick and 1100 or 11000)
  local folder = shell.folder()
  workers.texts_path = folder .. "/texts"
  shell.write(workers.texts_path, table.concat(texts, "\n") .. "\n")
  local compared = {}
  for _, kind in ipairs(places.all()) do
    local one = compare(kind, rounds, n, texts, searched, folder)
    one.growth, one.memory = grow(kind, quick and 2 or 40, sizes, folder)
    compared[#compared + 1] = one
    files.clean()
  end
  shell.remove(folder)
  io.stderr:write("\n")
  report.print(compared, workers.sides, { rounds = rounds, conversations = n, searched = #searched,
    sizes = sizes, versions = workers.versions() })
  return chart.svg(compared, workers.sides)
end

return comparison
