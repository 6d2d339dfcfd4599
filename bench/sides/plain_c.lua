-- The C twins as a side: their connections are bound to one conversation, so each has its own.
local side = {}

local function open_sqlite(dsn, durability)
  return function(user_id, id) return require "twin".open(dsn, user_id, id, durability) end
end

-- Many messages come by COPY, which is a form of the twin by itself.
local function open_postgres(dsn, schema)
  return function(user_id, id, form)
    return require "twin_postgres".open(dsn, '"' .. schema .. '"', user_id, id, form)
  end
end

function side.open(kind, dsn, schema, durability)
  local connect = kind == "sqlite" and open_sqlite(dsn, durability) or open_postgres(dsn, schema)
  local api, twins = {}, {}

  local function twin(user_id, id, form)
    local name = table.concat({ user_id, id, kind == "sqlite" and "" or form }, "\t")
    twins[name] = twins[name] or connect(user_id, id, form)
    return twins[name]
  end

  function api.conversation(user_id, id)
    local chat = {}

    function chat.append(_, content) twin(user_id, id, "pipeline"):append{ content } end

    function chat.append_many(messages)
      local texts = {}
      for i, message in ipairs(messages) do texts[i] = message.content end
      if kind == "sqlite" then
        twin(user_id, id):append_many(texts)
      else
        twin(user_id, id, "copy"):copy(texts)
      end
    end

    function chat.newest(n) return twin(user_id, id, "pipeline"):newest(n) end

    function chat.context(max_tokens) return twin(user_id, id, "pipeline"):context(max_tokens) end

    function chat.list(n) return twin(user_id, id, "pipeline"):list(n) end

    return chat
  end

  return api
end

return side
