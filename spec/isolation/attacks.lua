-- What somebody with a user's handle can try with another's ids, keys, cursors and words: for each method of users and
-- of conversations a function of the transcript `t`, the handle and what is known of the victim (loot.lua). A method
-- that is registered and has no attack here fails the run: see missing().
local attacks = { user = {}, conversation = {} }

-- The store's methods are not the attacker's, but for the transaction that everything is tried in as well. They are
-- named so that a new one is looked at.
local STORE = { archive = "operators", backup = "operators", check = "operators", close = "no reading",
  migrate = "operators", migrations = "operators", purge = "operators", schema_version = "no rows",
  stats = "operators", transaction = "attacked", user = "gives the handle", users = "operators" }

-- Methods without an attack.
function attacks.missing()
  local core = require "convstore.core"
  local missing = {}
  for _, handle in ipairs({ "user", "conversation" }) do
    for name in pairs(core[handle]) do
      if not attacks[handle][name] then missing[#missing + 1] = handle .. ":" .. name end
    end
  end
  for name in pairs(core.store) do
    if not STORE[name] then missing[#missing + 1] = "store:" .. name end
  end
  table.sort(missing)
  return missing
end

local function ids_of(loot)
  local ids = {}
  for _, id in ipairs(loot.conversations) do ids[#ids + 1] = id end
  ids[#ids + 1] = loot.messages[1]
  return ids
end

-- All that an iterator gives, or the error that it raises.
local function all(...)
  local items = {}
  for item in ... do
    items[#items + 1] = item
    if #items > 1000 then error("it does not end") end
  end
  return items
end

-- Users ---------------------------------------------------------------------------------------------------------------

function attacks.user.get(t, me, loot)
  for _, id in ipairs(ids_of(loot)) do
    for _, options in ipairs({ {}, { deleted = true }, { deleted = false } }) do
      t:try("get", me.get, me, id, options)
      t:try("get in capitals", me.get, me, id:upper(), options)
    end
  end
end

function attacks.user.list(t, me, loot)
  for _, options in ipairs({ {}, { deleted = "any" }, { deleted = true }, { order = "created" },
    { status = "archived" } }) do
    options.limit = 1000
    t:try("list", me.list, me, options)
    for _, cursor in ipairs(loot.cursors) do
      options.cursor = cursor
      t:try("list by a cursor", me.list, me, options)
    end
  end
end

function attacks.user.conversations(t, me, loot)
  t:try("conversations", function() return all(me:conversations({ deleted = "any", limit = 1 })) end)
  for _, cursor in ipairs(loot.cursors) do
    t:try("conversations by a cursor", function() return all(me:conversations({ cursor = cursor })) end)
  end
end

function attacks.user.messages(t, me, loot)
  for _, options in ipairs({ {}, { role = "user" }, { role = "system" }, { since = 1 } }) do
    options.limit = 1000
    t:try("messages", me.messages, me, options)
    for _, cursor in ipairs(loot.cursors) do
      options.cursor = cursor
      t:try("messages by a cursor", me.messages, me, options)
    end
  end
end

function attacks.user.search(t, me, loot)
  for _, word in ipairs(loot.words) do
    t:try("search", me.search, me, word, { limit = 1000 })
    for _, cursor in ipairs(loot.cursors) do
      t:try("search by a cursor", me.search, me, word, { cursor = cursor })
    end
    for _, id in ipairs(ids_of(loot)) do
      t:try("search in a conversation", me.search, me, word, { conversation_id = id })
    end
  end
end

function attacks.user.usage(t, me)
  for _, by in ipairs({ "day", "conversation" }) do t:try("usage by " .. by, me.usage, me, { by = by }) end
  t:try("usage", me.usage, me, { since = 1 })
end

-- Ids and keys that the victim has are free to everybody else, and what is made with them is empty.
function attacks.user.create(t, me, loot)
  for i, id in ipairs(ids_of(loot)) do
    t:try("create with an id", me.create, me, { id = id })
    t:try("create with an id and a key", me.create, me, { id = id, key = loot.keys[i] })
  end
end

function attacks.user.conversation(t, me, loot)
  for i, key in ipairs(loot.keys) do
    t:try("conversation", me.conversation, me, key)
    t:try("conversation with an id", me.conversation, me, key .. "?", { id = loot.conversations[i] })
    t:try("conversation with a message's id", me.conversation, me, key .. "!", { id = loot.messages[i] })
  end
end

function attacks.user.erase(t, me)
  t:try("erase", me.erase, me)
end

function attacks.user.close(t, me, loot)
  t:try("close", me.close, me)
  t:try("get on a closed handle", me.get, me, loot.conversations[1])
end

-- Conversations: `chat` is the attacker's, perhaps one with an id of the victim's -------------------------------------

local conversation = attacks.conversation

function conversation.message(t, chat, loot)
  for _, id in ipairs(loot.messages) do t:try("message", chat.message, chat, id) end
  for seq = 1, 7 do t:try("message by seq", chat.message, chat, seq) end
end

function conversation.history(t, chat)
  for _, options in ipairs({ {}, { after = 0, limit = 1000 }, { before = 1000 },
    { role = { "user", "tool" } }, { order = "desc" } }) do
    t:try("history", chat.history, chat, options)
  end
end

function conversation.each(t, chat)
  t:try("each", function() return all(chat:each()) end)
  t:try("each, backwards", function() return all(chat:each({ order = "desc" })) end)
end

function conversation.context(t, chat)
  t:try("context", chat.context, chat, { max_tokens = 100000 })
  t:try("context of the other form", chat.context, chat, { format = "anthropic" })
end

function conversation.context_json(t, chat)
  t:try("context_json", chat.context_json, chat, { max_messages = 100 })
  t:try("context_json of the other form", chat.context_json, chat, { format = "anthropic" })
end

function conversation.refresh(t, chat)
  t:try("refresh", chat.refresh, chat)
end

function conversation.append(t, chat, loot)
  for _, id in ipairs(loot.messages) do
    t:try("append with an id", chat.append, chat, "user", "mine", { id = id })
    t:try("the same again", chat.append, chat, "user", "mine", { id = id })
    t:try("the same id, another text", chat.append, chat, "user", "another", { id = id })
  end
  t:try("append to what is expected", chat.append, chat, "user", "mine", { expect = 6 })
end

function conversation.append_many(t, chat, loot)
  local batch = {}
  for i, id in ipairs(loot.messages) do batch[i] = { role = "user", content = "mine", id = id } end
  t:try("append_many with ids", chat.append_many, chat, batch)
  t:try("append_many of half of them", chat.append_many, chat,
    { batch[1], { role = "user", content = "new" } })
end

function conversation.annotate(t, chat)
  for seq = 1, 3 do t:try("annotate", chat.annotate, chat, seq, { by = "me" }) end
end

function conversation.redact(t, chat)
  for seq = 1, 2 do t:try("redact", chat.redact, chat, seq) end
end

function conversation.summarize(t, chat)
  t:try("summarize", chat.summarize, chat, "mine", { through = 1 })
  t:try("summarize too much", chat.summarize, chat, "mine", { through = 1000 })
  t:try("context behind a summary", chat.context, chat)
end

function conversation.update(t, chat, loot)
  t:try("update", chat.update, chat, { title = "mine", metadata = { by = "me" }, merge = true })
  for _, key in ipairs(loot.keys) do t:try("update of the key", chat.update, chat, { key = key }) end
end

function conversation.fork(t, chat, loot)
  for _, id in ipairs(ids_of(loot)) do
    t:try("fork with an id", chat.fork, chat, { id = id })
    t:try("fork with an id and a place", chat.fork, chat, { id = id, at = 0 })
  end
  for _, key in ipairs(loot.keys) do t:try("fork with a key", chat.fork, chat, { key = key }) end
end

function conversation.delete(t, chat)
  t:try("delete", chat.delete, chat)
  t:try("delete again", chat.delete, chat)
  t:try("append to what is deleted", chat.append, chat, "user", "mine")
end

function conversation.restore(t, chat)
  t:try("restore", chat.restore, chat)
end

function conversation.purge(t, chat)
  t:try("purge", chat.purge, chat)
  t:try("purge again", chat.purge, chat)
end

function conversation.close(t, chat)
  t:try("close", chat.close, chat)
  t:try("history of a closed handle", chat.history, chat)
end

-- All of it -----------------------------------------------------------------------------------------------------------

-- Readers first; what ends a handle last.
local USER_ORDER = { "get", "list", "conversations", "messages", "search", "usage", "create", "conversation" }
local CONVERSATION_ORDER = { "message", "history", "each", "context", "context_json", "refresh", "append",
  "append_many", "message", "history", "annotate", "redact", "summarize", "update", "fork", "context",
  "delete", "restore", "purge" }

-- Handles of the attacker's that bear an id of the victim's: as long as they have such a conversation themselves, and
-- when that is gone.
local function dangling(me, id)
  local chat = assert(me:create({ id = id }))
  assert(chat:purge())
  return chat
end

-- Everything once, with `own` as the attacker's own conversation. `store`: for transactions alone.
function attacks.run(t, store, me, own, loot)
  local function users_methods(where)
    for _, name in ipairs(USER_ORDER) do
      t:note(where .. name)
      attacks.user[name](t, me, loot)
    end
  end
  local function conversations_methods(where, chat)
    for _, name in ipairs(CONVERSATION_ORDER) do
      t:note(where .. name)
      conversation[name](t, chat, loot)
    end
  end
  local archived, live, deleted = loot.conversations[1], loot.conversations[2], loot.conversations[5]
  for _, id in ipairs({ archived, live, deleted }) do
    conversations_methods("on a dangling handle: ", dangling(me, id))
  end
  users_methods("")
  for _, id in ipairs({ live, deleted }) do
    conversations_methods("on one of the same id: ", assert(me:create({ id = id })))
  end
  dangling(me, archived) -- there may be one by now
  conversations_methods("on a fork of the same id: ", assert(own:fork({ id = archived, at = 2 })))
  -- The same in a transaction and in a nested one, which is undone.
  t:try("in a transaction", store.transaction, store, function()
    users_methods("in a transaction: ")
    store:transaction(function()
      users_methods("in a nested transaction: ")
      conversations_methods("in a nested transaction: ", assert(me:create({ id = live })))
      return nil, "undone"
    end)
    conversations_methods("in a transaction: ", assert(me:create({ id = live })))
    return true
  end)
  conversations_methods("on one's own: ", own)
  users_methods("at the end: ")
  attacks.user.erase(t, me)
  attacks.user.list(t, me, loot)
  local again = assert(me:create({ id = archived }))
  conversation.append(t, again, loot)
  conversation.history(t, again)
  conversation.close(t, again)
  attacks.user.close(t, me, loot)
end

return attacks
