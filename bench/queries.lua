-- The sections on contexts, lists, and appends beside searches: on SQLite, and on PostgreSQL where it is.
local data = require "data"
local files = require "files"
local measure = require "measure"
local places = require "places"

local queries = {}

local function say(text, ...)
  print((text:format(...)))
end

local function row(place, what, result, goal)
  what = what .. ", " .. place.name
  if goal then measure.row(what, result, goal) else measure.plain_row(what, result, "", "") end
end

local function times(n, call)
  return function()
    for _ = 1, n do call() end
  end
end

-- ---- contexts -----------------------------------------------------------------------------------------------------

local BUDGET = { max_tokens = 4000 }

-- A conversation of n messages, the first of them a system message.
local function talk(store, key, n)
  local chat = assert(store:user(files.user_id):conversation(key))
  local batch = data.messages(data.texts(1000))
  assert(chat:append("system", data.texts(2)[2]))
  for _ = 1, n // 1000 do assert(chat:append_many(batch)) end
  return chat
end

-- The same where every fourth message asks for a tool and the next one is its result.
local function talk_with_tools(store, key, n)
  local chat = assert(store:user(files.user_id):conversation(key))
  local batch = data.messages(data.texts(1000))
  for i = 4, #batch - 1, 4 do
    local id, arguments = "call_" .. i, '{"about":"' .. batch[i].content .. '"}'
    local call = { id = id, type = "function", ["function"] = { name = "look_up", arguments = arguments } }
    batch[i] = { role = "assistant", tool_calls = { call } }
    batch[i + 1] = { role = "tool", tool_call_id = id, content = batch[i + 1].content }
  end
  for _ = 1, n // 1000 do assert(chat:append_many(batch)) end
  return chat
end

function queries.context(rounds, quick)
  local small, large, calls = 10000, quick and 20000 or 1000000, 20
  say([[

## Contexts

`context{ max_tokens = %d }`: some 90 of the newest messages and a system message, as Lua tables, from a
conversation of %d messages. The C side runs the statements of a context, stops when the budget is full, and
fills the same tables. %d rounds of %d calls.
]], BUDGET.max_tokens, small, rounds, calls)
  measure.header("this", "beside")
  for _, place in ipairs(places.all()) do
    local database, big = place.database("context"), place.database("context_large")
    local store, big_store = database:open(), big:open()
    local chat, big_chat = talk(store, "plain", small), talk(big_store, "plain", large)
    local tools = talk_with_tools(store, "tools", small)
    database:settle()
    big:settle()
    local c = database:twin(chat.id)
    places.check_same({ assert(chat:context(BUDGET)) }, { c:context(BUDGET.max_tokens) })
    assert(tools:context(BUDGET))
    local function context_of(of) return times(calls, function() assert(of:context(BUDGET)) end) end
    local mine = context_of(chat)
    row(place, "context; plain C", measure.compare(rounds, calls, mine,
      times(calls, function() c:context(BUDGET.max_tokens) end)), 1.25)
    row(place, ("context of %d messages; of %d"):format(large, small),
      measure.compare(rounds, calls, context_of(big_chat), mine), 1.2)
    row(place, "context_json; context", measure.compare(rounds, calls,
      times(calls, function() assert(chat:context_json(BUDGET)) end), mine), 1.00)
    row(place, "context with tool exchanges; without",
      measure.compare(rounds, calls, context_of(tools), mine))
    c:close()
    store:close()
    big_store:close()
    database:drop()
    big:drop()
  end
end

-- ---- lists --------------------------------------------------------------------------------------------------------

local function write_conversations(store, n, batch)
  local user = store:user(files.user_id)
  for i = 1, n, 100 do
    assert(store:transaction(function()
      for j = i, i + 99 do
        assert(assert(user:create{ key = "key " .. j, title = "Conversation " .. j }):append_many(batch))
      end
      return true
    end))
  end
  return user
end

function queries.lists(rounds, quick)
  local n, each, page, calls = quick and 1000 or 10000, quick and 2 or 100, 20, 20
  say([[

## Lists

`list{ limit = %d }` among %d conversations, as Lua tables with the last message's preview. The C side runs
the same statement and fills the same tables, but makes no cursor. %d rounds of %d calls.
]], page, n, rounds, calls)
  measure.header("this", "beside")
  for _, place in ipairs(places.all()) do
    local database, big = place.database("lists"), place.database("lists_large")
    local store, big_store = database:open(), big:open()
    local batch = data.messages(data.texts(each))
    local last = { batch[#batch] } -- it is shown, so it is the same in both
    local user, big_user = write_conversations(store, n, last), write_conversations(big_store, n, batch)
    database:settle()
    big:settle()
    local first = assert(user:list{ limit = page })
    local c = database:twin(first[1].id)
    places.check_same(first, (c:list(page)))
    assert(#first == page and first[1].last_message)
    local function list_of(of) return times(calls, function() assert(of:list{ limit = page }) end) end
    row(place, ("list of %d; plain C"):format(page), measure.compare(rounds, calls, list_of(user),
      times(calls, function() c:list(page) end)), 1.5)
    row(place, ("list with %d messages; with %d"):format(n * each, n),
      measure.compare(rounds, calls, list_of(big_user), list_of(user)), 1.25)
    c:close()
    store:close()
    big_store:close()
    database:drop()
    big:drop()
  end
end

-- ---- appends beside searches --------------------------------------------------------------------------------------

function queries.append_search(rounds)
  local few, stored, fewer = data.texts(100), 10000, math.min(rounds, 50)
  say([[

## Appends where there is a search

Plain C on both sides, to a conversation of %d messages that is indexed: with what migration 0003 adds, and on
a copy without it. %d rounds of %d appends, a transaction each; durability full. With searches, %d rounds.
]], stored, rounds, #few, fewer)
  measure.header("with", "without")
  for _, place in ipairs(places.all()) do
    local database = place.database("search")
    local store = database:open()
    local chat = talk(store, "plain", stored)
    local user, word = store:user(files.user_id), few[1]:match("%S+")
    assert(user:search(word))
    local older, id = place.before_search(database, "plain", function(to, key)
      return talk(to, key, stored)
    end)
    database:settle()
    older:settle()
    local function compare(what, n, durability, goal, before, after)
      local with, without = database:twin(chat.id, durability), older:twin(id, durability)
      local result = measure.compare(n, #few, function()
        with:append(few)
        if after then after() end
      end, function() without:append(few) end, { before })
      row(place, what, result, goal)
      with:close()
      without:close()
    end
    local function search() assert(user:search(word)) end
    compare("append", rounds, place.full, 1.10)
    if place.full then compare("append, durability normal", rounds, "normal") end
    compare("append, a search before each 100", fewer, place.full, nil, search)
    compare("100 appends and a search; 100 appends", fewer, place.full, nil, nil, search)
    store:close()
    database:drop()
    older:drop()
  end
end

return queries
