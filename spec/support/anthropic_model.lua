-- What Anthropic's messages API takes: how a context is said in it, in plain Lua over whole messages, and a validator
-- that knows nothing of where messages come from.
local array = require("convstore").array

local anthropic = {}

local function is_blank(text)
  return type(text) ~= "string" or not text:find("%S")
end

-- ---- how it is said ---------------------------------------------------------------------------------------------

local function block(part)
  local url = part.type == "image_url" and part.image_url and part.image_url.url
  if not url then return part end
  local media_type, data = url:match("^data:([^;,]+);base64,(.*)$")
  if media_type then
    return { type = "image", source = { type = "base64", media_type = media_type, data = data } }
  end
  return { type = "image", source = { type = "url", url = url } }
end

local function blocks(content)
  local list = array {}
  if type(content) == "string" then
    content = { { type = "text", text = content } }
  end
  for _, part in ipairs(content or {}) do
    if part.type ~= "text" or not is_blank(part.text) then
      list[#list + 1] = block(part)
    end
  end
  return list
end

local function said(message, inputs)
  if message.role == "tool" then
    local content = blocks(message.content)
    if type(message.content) == "string" then
      content = not is_blank(message.content) and message.content or {}
    end
    return { { type = "tool_result", tool_use_id = message.tool_call_id,
      content = #content > 0 and content or nil } }
  end
  local list, seen = blocks(message.content), {}
  for _, call in ipairs(message.role == "assistant" and message.tool_calls or {}) do
    if not seen[call.id] then
      seen[call.id] = true
      list[#list + 1] = { type = "tool_use", id = call.id, name = call["function"].name,
        input = inputs[call["function"].arguments] }
    end
  end
  return list
end

-- The array and the second result but for `dropped`, of what spec/support/context_model.lua calls the source; the
-- number of window messages that are in the array. `inputs`: by the text of arguments what becomes of it.
function anthropic.context(source, inputs)
  local account, texts = { tokens = 0 }, {}
  for _, message in ipairs(source.pinned) do
    local pieces = {}
    if type(message.content) == "string" then
      pieces[1] = message.content
    else
      for _, part in ipairs(message.content) do
        if not is_blank(part.text) then pieces[#pieces + 1] = part.text end
      end
    end
    local text = table.concat(pieces, "\n")
    if not is_blank(text) then
      texts[#texts + 1] = text
      account.tokens = account.tokens + message.token_count
    end
  end
  account.system = #texts > 0 and table.concat(texts, "\n\n") or nil

  local turns, included, dropping = array {}, 0, false
  for _, message in ipairs(source.window) do
    local list = said(message, inputs)
    local role = message.role == "assistant" and "assistant" or "user"
    if #turns == 0 and role == "assistant" then
      dropping = message.tool_calls ~= nil
    elseif dropping and message.role == "tool" then
      dropping = true -- its call is not there
    elseif #list > 0 then
      dropping = false
      local last = turns[#turns]
      if not last or last.role ~= role then
        last = { role = role, content = array {}, messages = {} }
        turns[#turns + 1] = last
      end
      table.move(list, 1, #list, #last.content + 1, last.content)
      table.insert(last.messages, message)
      included = included + 1
      account.tokens = account.tokens + message.token_count
      account.first_seq = account.first_seq or message.seq
    end
  end
  for _, turn in ipairs(turns) do
    local only = #turn.messages == 1 and turn.messages[1]
    if only and type(only.content) == "string" and only.role ~= "tool" and not only.tool_calls then
      turn.content = only.content
    end
    turn.messages = nil
  end
  account.messages = #turns
  return turns, account, included
end

-- ---- what is taken ----------------------------------------------------------------------------------------------

local BLOCKS = {
  text = function(b) assert(not is_blank(b.text), "a text is empty") end,
  image = function(b)
    assert(b.source.type == "url" and b.source.url
      or b.source.type == "base64" and b.source.media_type:find("^image/") and b.source.data,
      "an image is bad")
  end,
  tool_use = function(b)
    assert(type(b.id) == "string" and type(b.name) == "string", "a tool_use is bad")
    assert(type(b.input) == "table" and #b.input == 0, "an input is no object")
  end,
  tool_result = function(b)
    assert(type(b.tool_use_id) == "string", "a tool_result is bad")
    assert(b.content == nil or type(b.content) == "string" and b.content ~= "" or #b.content > 0,
      "a result is empty")
  end,
}

-- Raises where the API would refuse the array. The last turn may have calls that wait for their results.
function anthropic.validate(turns)
  local open = {} -- calls of the turn before
  for i, turn in ipairs(turns) do
    assert(turn.role == (i % 2 == 1 and "user" or "assistant"), "the turns do not alternate")
    for key in pairs(turn) do
      assert(key == "role" or key == "content", "an unknown field: " .. key)
    end
    local content = turn.content
    if type(content) == "string" then
      content = { { type = "text", text = content } }
    end
    assert(#content > 0, "a turn is empty")
    local answered, uses, n_results = {}, {}, 0
    for k, b in ipairs(content) do
      if BLOCKS[b.type] then BLOCKS[b.type](b) end
      if b.type == "tool_result" then
        n_results = n_results + 1
        assert(turn.role == "user" and n_results == k, "a result does not stand first")
        assert(open[b.tool_use_id] and not answered[b.tool_use_id], "a result without a call")
        answered[b.tool_use_id] = true
      elseif b.type == "tool_use" then
        assert(turn.role == "assistant" and not uses[b.id], "a call twice")
        uses[b.id] = true
      end
    end
    if i < #turns then
      for id in pairs(open) do
        assert(answered[id], "a call without a result")
      end
    end
    open = uses
  end
end

return anthropic
