-- The side that all others are compared with; see worker.lua for what is asked of a side.
local convstore = require "convstore"

local side = {}

function side.open(kind, dsn, schema, durability)
  local options = kind == "sqlite" and { durability = durability } or { schema = schema }
  local store = assert(convstore.open(dsn, options))
  local api = {}

  function api.conversation(user_id, id)
    local user = store:user(user_id)
    local conv = id ~= "-" and assert(user:get(id))
    local chat = {}

    function chat.append(role, content) return assert(conv:append(role, content)) end

    function chat.append_many(messages) return assert(conv:append_many(messages)) end

    function chat.newest(n) return assert(conv:history{ limit = n }) end

    function chat.context(max_tokens) return assert(conv:context{ max_tokens = max_tokens }) end

    function chat.list(n) return assert(user:list{ limit = n }) end

    function chat.search(word, n)
      local found = assert(user:search(word, { limit = n }))
      for i, hit in ipairs(found) do found[i] = hit.message end
      return found
    end

    function chat.each()
      local next_message = conv:each()
      return function()
        local message = next_message()
        if message then return true, message.seq end
      end
    end

    return chat
  end

  return api
end

return side
