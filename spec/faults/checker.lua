-- The independent judge: reads a database with plain SQL, in another process than any writer's, and compares it with
-- what was sent (plan.lua) and what was said (ledger.lua). It knows nothing of convstore but its tables.
--
-- checker.judge returns what it has found as a list of { kind =, detail = }; an empty one is a good end. The kinds:
--   lost      an acknowledged message is not there          doubled   it is there twice, under whatever id
--   seq       it has another seq than acknowledged          gap       a conversation's seq is not 1, 2, 3 …
--   bytes     text, role or metadata are not what was sent  counter   last_seq or a count or a running total is wrong
--   half      only some messages of a batch or transaction  torn      somebody else's message in the middle of one
--   order     a writer's messages not in the order sent     place     in another conversation or another user's
--   stranger  nobody ever sent it                           refused   what was refused or undone is stored all the same
--   said      a writer said what cannot be                  damaged   the database's own check finds fault
local plan = require "spec.faults.plan"

local checker = {}

checker.kinds = { "lost", "doubled", "seq", "gap", "bytes", "counter", "half", "torn", "order", "place",
  "stranger", "refused", "said", "damaged" }

-- Both databases give a row as a line with "|" between columns; texts as hexadecimal digits.
local CONVERSATIONS = [[
  SELECT user_id, key, id, last_seq, token_count, pinned_token_count FROM %s ORDER BY 1, 2, 3]]
local MESSAGES = {
  sqlite = [[SELECT user_id, conversation_id, seq, id, role, token_count, token_total,
      hex(CAST(content AS BLOB)), metadata ->> 'unit' FROM (SELECT * FROM convstore_messages
      UNION ALL SELECT * FROM convstore_messages_archive) AS m ORDER BY 1, 2, 3]],
  postgres = [[SELECT user_id, conversation_id, seq, id, role, token_count, token_total,
      upper(encode(convert_to(content, 'UTF8'), 'hex')), metadata ->> 'unit'
      FROM (SELECT * FROM convstore.messages
      UNION ALL SELECT * FROM convstore.messages_archive) AS m ORDER BY 1, 2, 3]],
}
local DAMAGE = {
  sqlite = "PRAGMA integrity_check; PRAGMA foreign_key_check",
  -- Indexes and tables agree: what a crash could have put out of step. Without the extension nothing is said.
  postgres = [[
    SELECT 'CREATE EXTENSION IF NOT EXISTS amcheck' FROM pg_available_extensions WHERE name = 'amcheck' \gexec
    SELECT format('SELECT bt_index_check(%L, true)', i.indexrelid::regclass) FROM pg_index AS i
      JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
     WHERE a.amname = 'btree' AND c.relnamespace = 'convstore'::regnamespace
       AND EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck') \gexec]],
}
local SOUND = { sqlite = "^ok\n$", postgres = "^\n*$" }

local hex = {}
for byte = 0, 255 do
  hex[string.char(byte)] = ("%02X"):format(byte)
end

local function columns(line)
  local list = {}
  for column in (line .. "|"):gmatch("([^|]*)|") do
    list[#list + 1] = column
  end
  return list
end

-- "WRITER.UNIT.PART", with which a text begins; "" where it is none of ours.
local function name_in(hexadecimal)
  local text = hexadecimal:sub(1, 80):gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end)
  return table.concat({ plan.parse_text(text) }, ".")
end

local function finder()
  local found = {}
  return found, function(kind, ...)
    found[#found + 1] = { kind = kind, detail = string.format(...) }
  end
end

-- One conversation's rows, in the order of seq: dense, and in step with the counters.
local function judge_counters(conversation, rows, find)
  local tokens, pinned, total, wrong = 0, 0, 0, false
  local where = ("conversation %s of %s"):format(conversation.key, conversation.user)
  for i, row in ipairs(rows) do
    if row.seq ~= i then
      find("gap", "%s: message number %d has seq %d", where, i, row.seq)
      break
    end
  end
  for _, row in ipairs(rows) do
    tokens = tokens + row.tokens
    if row.role == "system" or row.role == "developer" then
      pinned = pinned + row.tokens
    else
      total = total + row.tokens
    end
    if row.total ~= total and not wrong then
      find("counter", "%s: token_total of seq %d is %d, not %d", where, row.seq, row.total, total)
      wrong = true
    end
  end
  if conversation.last_seq ~= #rows then
    find("counter", "%s: last_seq is %d, there are %d messages", where, conversation.last_seq, #rows)
  end
  if conversation.tokens ~= tokens then
    find("counter", "%s: token_count is %d, not %d", where, conversation.tokens, tokens)
  end
  if conversation.pinned ~= pinned then
    find("counter", "%s: pinned_token_count is %d, not %d", where, conversation.pinned, pinned)
  end
end

-- One stored message against what was sent; its writer, unit and part, where it is one of those.
local function judge_row(row, plan_of_run, units, find)
  local writer, unit, part = plan.parse_id(row.id)
  local sent = writer and units(writer, unit)
  local message = sent and sent.parts[part]
  if not message then
    find("stranger", "seq %d of %s, id %s: nobody sent it", row.seq, row.key, row.id)
    return
  end
  local name = ("writer %d unit %d part %d (seq %d of %s)"):format(writer, unit, part, row.seq, row.key)
  if row.user ~= plan_of_run:user(writer) or row.key ~= message.key then
    find("place", "%s was sent to %s of %s, and is in one of %s", name, message.key, sent.user, row.user)
  end
  if row.content ~= message.content:gsub(".", hex) then
    find("bytes", "%s: its text is not what was sent", name)
  end
  if row.role ~= message.role or row.tokens ~= message.token_count or row.unit ~= tostring(unit) then
    find("bytes", "%s: role, token_count or metadata are not what was sent", name)
  end
  return writer, unit, part
end

-- Each unit that was tried: all of it or nothing, as it was said.
local function judge_units(log, units, stored, find)
  for writer, tried in pairs(log.tried) do
    for unit in pairs(tried) do
      local parts = stored[writer] and stored[writer][unit] or {}
      local sent = units(writer, unit)
      local seqs = log.acknowledged[writer] and log.acknowledged[writer][unit]
      local refused = log.refused[writer] and log.refused[writer][unit]
      local name = ("writer %d unit %d"):format(writer, unit)
      local there, previous = 0, {}
      for part, message in ipairs(sent.parts) do
        local row = parts[part]
        there = there + (row and 1 or 0)
        if seqs and not row then
          find("lost", "%s part %d was acknowledged as seq %s and is not there", name, part, seqs[part])
        elseif seqs and row.seq ~= seqs[part] then
          find("seq", "%s part %d was acknowledged as seq %s and has %d", name, part, seqs[part], row.seq)
        end
        if row and previous[message.key] and row.seq ~= previous[message.key] + 1 then
          find("torn", "%s part %d has seq %d, the part before it %d", name, part, row.seq,
            previous[message.key])
        end
        previous[message.key] = row and row.seq
      end
      if there > 0 and there < #sent.parts then
        find("half", "%s, a %s of %d: %d are there", name, sent.kind, #sent.parts, there)
      end
      if refused and not seqs and there > 0 then
        find("refused", "%s was %s, and %d of its messages are there", name, refused, there)
      end
    end
  end
end

-- Reads everything and judges it; the number of messages. A database that cannot be read raises.
local function judge_all(database, plan_of_run, log, find)
  local ok, damage = pcall(database.sql, DAMAGE[database.dialect])
  if not ok or not damage:find(SOUND[database.dialect]) then
    find("damaged", "%s", damage)
  end

  local conversations, rows_of = {}, {}
  local name = database.dialect == "sqlite" and "convstore_conversations" or "convstore.conversations"
  for line in database.sql(CONVERSATIONS:format(name)):gmatch("[^\n]+") do
    local user, key, id, last_seq, tokens, pinned = table.unpack(columns(line))
    if conversations[user .. "|" .. key] then
      find("doubled", "%s has two conversations %s", user, key)
    end
    local conversation = { user = user, key = key, id = id, last_seq = math.tointeger(last_seq),
      tokens = math.tointeger(tokens), pinned = math.tointeger(pinned) }
    conversations[user .. "|" .. key], conversations[user .. "|" .. id] = conversation, conversation
    rows_of[conversation] = {}
  end

  local cache = {}
  local function units(writer, unit)
    if not log.tried[writer] or not log.tried[writer][unit] then return nil end
    cache[writer] = cache[writer] or {}
    cache[writer][unit] = cache[writer][unit] or plan_of_run:unit(writer, unit)
    return cache[writer][unit]
  end

  local stored, texts, last_unit, n = {}, {}, {}, 0
  for line in database.sql(MESSAGES[database.dialect]):gmatch("[^\n]+") do
    local user, conversation_id, seq, id, role, tokens, total, content, of_unit = table.unpack(columns(line))
    local conversation = conversations[user .. "|" .. conversation_id]
    n = n + 1
    if not conversation then
      find("place", "message %s is in a conversation that is not there", id)
    else
      local row = { user = user, key = conversation.key, seq = math.tointeger(seq), id = id, role = role,
        tokens = math.tointeger(tokens), total = math.tointeger(total), content = content, unit = of_unit }
      table.insert(rows_of[conversation], row)
      -- The text's own name, so that a copy under another id is seen.
      local text = name_in(content)
      local twin = texts[text]
      if text ~= "" and twin then
        find("doubled", "%s is there as seq %d of %s and as seq %d of %s", text, twin.seq, twin.key, row.seq,
          row.key)
      end
      texts[text] = row
      local writer, unit, part = judge_row(row, plan_of_run, units, find)
      if writer then
        stored[writer] = stored[writer] or {}
        stored[writer][unit] = stored[writer][unit] or {}
        stored[writer][unit][part] = stored[writer][unit][part] or row
        -- What was never acknowledged may come late: a server may carry it out when its client is gone.
        local acknowledged = log.acknowledged[writer] and log.acknowledged[writer][unit]
        local order = writer .. "|" .. conversation_id
        if acknowledged and unit < (last_unit[order] or 0) then
          find("order", "writer %d: unit %d is behind unit %d in %s", writer, unit, last_unit[order], row.key)
        end
        if acknowledged then last_unit[order] = unit end
      end
    end
  end
  for conversation, rows in pairs(rows_of) do
    judge_counters(conversation, rows, find)
  end
  judge_units(log, units, stored, find)
  return n
end

-- `database`: `dialect` ("sqlite" or "postgres") and `sql`, a function that runs SQL and returns what the database's
-- own shell prints. `log`: a ledger. Returns what was found, and the number of messages.
function checker.judge(database, plan_of_run, log)
  local found, find = finder()
  for _, complaint in ipairs(log.complaints) do
    find("said", "%s", complaint)
  end
  local ok, n = pcall(judge_all, database, plan_of_run, log, find)
  if not ok then
    find("damaged", "it cannot be read: %s", n)
  end
  return found, ok and n or 0
end

-- How many of each kind.
function checker.count(found)
  local counts = {}
  for _, kind in ipairs(checker.kinds) do
    counts[kind] = 0
  end
  for _, one in ipairs(found) do
    counts[one.kind] = counts[one.kind] + 1
  end
  return counts
end

return checker
