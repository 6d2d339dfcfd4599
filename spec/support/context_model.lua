-- What conv:context answers, said in plain Lua over a whole history: the law that the databases are compared with. It
-- looks at everything, tries every beginning of the window, and knows no shortcut.
local array = require("convstore").array

local model = {}

local PINNED = { system = true, developer = true }

local function is_said(message)
  return not message.redacted_at and message.content ~= nil
end

-- For each call of the history its results: by id the one that counts, and all that pair with it.
local function pair(history)
  local exchanges = {}
  for seq, message in ipairs(history) do
    local calls = message.tool_calls or message.had_calls -- of a redacted one
    if message.role == "assistant" and calls then
      exchanges[seq] = { first = {}, own = {}, calls = {} }
      for _, call in ipairs(calls) do
        exchanges[seq].calls[call.id] = true
      end
    end
  end
  for seq, message in ipairs(history) do
    if message.role == "tool" then
      for earlier = seq - 1, 1, -1 do
        local exchange = exchanges[earlier]
        if exchange and exchange.calls[message.tool_call_id] then
          exchange.first[message.tool_call_id] = exchange.first[message.tool_call_id] or seq
          exchange.own[seq] = true
          break
        end
      end
    end
  end
  return exchanges
end

-- The seqs of an exchange as it stands in a context, or nil where it stands in none.
local function whole(history, call_seq, exchange)
  local seqs, taken, complete = { call_seq }, {}, true
  for _, call in ipairs(history[call_seq].tool_calls) do
    local result = exchange.first[call.id]
    if not result then
      complete = false
    elseif not is_said(history[result]) then
      return nil
    elseif not taken[call.id] then
      taken[call.id] = true
      seqs[#seqs + 1] = result
    end
  end
  if not complete then
    for later = call_seq + 1, #history do
      if not exchange.own[later] or history[later].redacted_at then
        return nil
      end
    end
  end
  return seqs
end

-- By seq the items that can stand in a window: lists of seqs.
function model.items(history)
  local items, exchanges = {}, pair(history)
  for seq, message in ipairs(history) do
    if exchanges[seq] and not message.redacted_at then
      items[seq] = whole(history, seq, exchanges[seq])
    elseif (message.role == "user" or message.role == "assistant") and is_said(message) then
      items[seq] = { seq }
    end
  end
  return items
end

local function window(items, s, last)
  local seqs = {}
  for seq = s, last do
    for _, each in ipairs(items[seq] or {}) do
      seqs[#seqs + 1] = each
    end
  end
  return seqs
end

local function sum(history, seqs)
  local tokens = 0
  for _, seq in ipairs(seqs) do
    tokens = tokens + history[seq].token_count
  end
  return tokens
end

local function is_good(name)
  return name ~= nil and #name >= 1 and #name <= 64 and not name:find("[^A-Za-z0-9_%-]")
end

local function carried(message)
  return {
    role = message.role, content = message.content, name = is_good(message.name) and message.name or nil,
    tool_calls = message.role == "assistant" and message.tool_calls or nil,
    tool_call_id = message.role == "tool" and message.tool_call_id or nil,
  }
end

-- The array and the second result for a history (as conv:history gives it), a summary ({ through=, content=,
-- token_count= } or nil) and options; or nil, "too_large". The third result is what the array was made of: pinned texts
-- and window messages, with their tokens and seqs.
function model.context(history, summary, options)
  local through = summary and summary.through or 0
  local budget = options.max_tokens and options.max_tokens - (options.reserve or 0) or math.huge
  local most = options.max_messages or math.huge
  local messages, source, tokens, system_behind = {}, { pinned = {}, window = {} }, 0, 0
  for seq, message in ipairs(history) do
    if PINNED[message.role] then
      system_behind = system_behind + (seq > through and 1 or 0)
      if options.system ~= false and is_said(message) then
        table.insert(messages, carried(message))
        table.insert(source.pinned, message)
        tokens = tokens + message.token_count
      end
    end
  end
  if options.system ~= false and summary then
    table.insert(messages, { role = "system", content = summary.content })
    table.insert(source.pinned, summary)
    tokens = tokens + summary.token_count
  end
  if tokens > budget then
    return nil, "too_large"
  end

  local items = model.items(history)
  local best, any, all = {}, false, window(items, through + 1, #history)
  for s = #history, through + 1, -1 do
    local seqs = window(items, s, #history)
    any = any or #seqs > 0
    if #seqs <= most and tokens + sum(history, seqs) <= budget then
      best = seqs
    end
  end
  if any and #best == 0 then
    return nil, "too_large"
  end
  -- The newest message that belongs to an item, and whether that would fit alone.
  local newest, its = 0, nil
  for seq, members in pairs(items) do
    if seq > through and math.max(table.unpack(members)) > newest then
      newest, its = math.max(table.unpack(members)), members
    end
  end
  if its and (#its > most or tokens + sum(history, its) > budget) then
    return nil, "too_large"
  end

  source.is_full = #best < #all or #best == most
  local first
  for _, seq in ipairs(best) do
    table.insert(messages, carried(history[seq]))
    table.insert(source.window, history[seq])
    first = math.min(first or seq, seq)
  end
  local dropped = #history - through - system_behind - #best
  return array(messages), {
    tokens = tokens + sum(history, best), messages = #messages, dropped = dropped, first_seq = first,
    truncated = dropped > 0,
  }, source
end

return model
