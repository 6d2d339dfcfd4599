-- Random histories of all that a context has to get right, and random options for them. Whatever a person or a model
-- may do to a conversation is here: calls in parallel, results in any order, twice, late or never, ids used again.
local array = require("convstore").array
local null = require("convstore").null

local cases = {}

local NAMES = { "bob", "x-_9", ("n"):rep(64), ("n"):rep(65), "Ann Lee", "Zoë", "", "a.b" }
local IDS = { "c1", "c2", "c3", "call_é" }

-- Arguments as models write them, and the input that Anthropic's API gets for them.
cases.arguments = {
  ["{}"] = {},
  ['{"a":1}'] = { a = 1 },
  [' { "b" : [ 1.50, 1e2, true, null, "\\u00e9\\n" ] } '] = { b = { 1.5, 100.0, true, null, "é\n" } },
  ['{"id":9007199254740993}'] = { id = 9007199254740993 },
  ["[1]"] = { arguments = "[1]" },
  ["not JSON"] = { arguments = "not JSON" },
  ['{"a":'] = { arguments = '{"a":' },
  [""] = { arguments = "" },
}
local ARGUMENTS = {}
for text in pairs(cases.arguments) do
  ARGUMENTS[#ARGUMENTS + 1] = text
end
table.sort(ARGUMENTS)

local function parts(random)
  return random:pick({
    { { type = "text", text = "part" } },
    { { type = "text", text = "" }, { type = "text", text = "second", x = { 1, 2.5 } } },
    { { type = "image_url", image_url = { url = "https://example.org/a.png", detail = "low" } } },
    { { type = "text", text = "look" },
      { type = "image_url", image_url = { url = "data:image/png;base64,AAAA" } } },
    { { type = "input_audio", input_audio = { data = "AAAA", format = "wav" } } },
    { { type = "text", text = "  " } },
    array {},
  })
end

local function content(random, n)
  if random:chance(10) then return parts(random) end
  if random:chance(6) then return random:pick({ "", " \n" }) end
  return random:pick({ "text ", 'q"\\', "line\nline ", "é\1" }) .. n
end

local function say(random, role, n)
  local message = { role = role, content = content(random, n) }
  if random:chance(30) then message.name = random:pick(NAMES) end
  if random:chance(10) then
    message.attachments = { { name = "a" } }
    if random:chance(60) then message.content = nil end
  end
  return message
end

local function call(random, n, open)
  local message = { role = "assistant", tool_calls = {} }
  if random:chance(30) then message.content = content(random, n) end
  for i = 1, random:pick({ 1, 1, 1, 2, 2, 3 }) do
    local id = random:chance(60) and ("call_%d_%d"):format(n, i) or random:pick(IDS)
    message.tool_calls[i] = { id = id, type = "function",
      ["function"] = { name = "f" .. i, arguments = random:pick(ARGUMENTS) } }
    open[#open + 1] = id
  end
  return message
end

local function result(random, n, open)
  local id = #open > 0 and random:chance(85) and table.remove(open, random:int(1, #open))
    or random:pick(IDS)
  if random:chance(8) then open[#open + 1] = id end -- to be answered once more
  local message = { role = "tool", tool_call_id = id, content = content(random, n) }
  if random:chance(3) then
    message.content, message.attachments = nil, { { name = "a" } }
  end
  return message
end

-- A list of messages to append. `calm`: mostly what well-behaved programs store.
function cases.messages(random, n, calm)
  local messages, open = {}, {}
  for i = 1, n do
    local dice = random:int(1, 100)
    local message
    if #open > 0 and random:chance(calm and 90 or 50) then
      message = result(random, i, open)
    elseif dice <= 30 then
      message = say(random, "user", i)
    elseif dice <= 55 then
      message = say(random, "assistant", i)
    elseif dice <= 80 then
      message = call(random, i, open)
    elseif dice <= 87 then
      message = say(random, random:pick({ "system", "developer" }), i)
    else
      message = result(random, i, open)
    end
    message.token_count = random:pick({ 0, 1, 2, 3, 5, random:int(0, 30) })
    messages[i] = message
  end
  return messages
end

-- Options at and around the sizes where something changes.
function cases.options(random, history)
  local total = 0
  for _, message in ipairs(history) do
    total = total + message.token_count
  end
  local options = {}
  if random:chance(70) then
    options.max_tokens = random:pick({ 1, random:int(1, total + 2), random:int(1, total + 2),
      random:int(1, total // 4 + 1), total, total + 1, math.maxinteger })
    options.max_tokens = math.max(1, options.max_tokens)
    if random:chance(30) then
      options.reserve = random:int(0, math.min(options.max_tokens - 1, 40))
    end
  end
  if random:chance(50) then
    options.max_messages = random:pick({ 1, 2, 3, random:int(1, #history + 1), #history, math.maxinteger })
    options.max_messages = math.max(1, options.max_messages)
  end
  if random:chance(25) then options.system = random:chance(30) end
  return options
end

-- Options as a person can read them.
function cases.describe(options)
  local list = {}
  for _, name in ipairs({ "max_tokens", "max_messages", "reserve", "system", "format" }) do
    if options[name] ~= nil then
      list[#list + 1] = name .. " = " .. tostring(options[name])
    end
  end
  return "{ " .. table.concat(list, ", ") .. " }"
end

-- The whole history, in which redacted messages still have as `had_calls` what `stored`, the messages as they were
-- appended, knows of their calls: a history does not show it any more.
function cases.history(chat, stored)
  local history = assert(chat:history())
  for seq, message in ipairs(history) do
    message.had_calls = message.redacted_at and stored[seq].tool_calls or nil
  end
  return history
end

-- Stores a summary ({ through=, content=, token_count= }), the latest one then.
function cases.summarize(chat, summary)
  assert(chat:summarize(summary.content, { through = summary.through, token_count = summary.token_count }))
end

-- Moves all messages to the archive.
function cases.archive(database)
  local now = database:table("x"):find(".", 1, true) and "now()" or "5"
  database:sql(([[
    INSERT INTO %s SELECT * FROM %s; DELETE FROM %s;
    UPDATE %s SET archived_at = %s, archived_seq = last_seq;]]):format(
    database:table("messages_archive"), database:table("messages"), database:table("messages"),
    database:table("conversations"), now))
end

return cases
