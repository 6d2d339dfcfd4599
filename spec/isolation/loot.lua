-- A user who has something of everything, and all that an attacker could know of it: every id, key and cursor, and
-- words that stand nowhere else. Each text carries the user's mark, so a row of theirs is known wherever it turns up.
local convstore = require "convstore"

local loot = {}

-- Letters only: one word for a search, and no part of a UUID.
function loot.mark()
  return "zq" .. convstore.uuid():gsub("%-", ""):sub(-12):gsub("%d", function(digit)
    return string.char(("g"):byte() + tonumber(digit))
  end)
end

-- A conversation with messages of every kind.
local function fill(chat, mark)
  local stored = assert(chat:append_many({
    { role = "system", content = mark .. " is the system's word" },
    { role = "user", content = "the secret of " .. mark, name = mark, metadata = { note = mark } },
    { role = "assistant", tool_calls = { { id = "call " .. mark, type = "function",
      ["function"] = { name = "f", arguments = '{"a":"' .. mark .. '"}' } } } },
    { role = "tool", content = "result for " .. mark, tool_call_id = "call " .. mark },
    { role = "user", content = { { type = "text", text = "part of " .. mark } } },
    { role = "assistant", content = "an answer to " .. mark,
      attachments = { { url = "file:" .. mark, name = mark, size = 1 } } },
  }))
  local ids = {}
  for i, message in ipairs(stored) do ids[i] = message.id end
  return ids
end

-- Makes all this for the user `id` of `store`, every text with `mark`. What is returned are strings by subject:
-- conversations, messages, keys, cursors, words; `mark` and `user_id` themselves.
function loot.make(store, id, mark)
  local user = store:user(id)
  local self = { user_id = user.id, mark = mark, conversations = {}, messages = {}, keys = {}, cursors = {} }
  local function take(chat)
    table.insert(self.conversations, chat.id)
    for _, message_id in ipairs(fill(chat, mark)) do table.insert(self.messages, message_id) end
    if chat.key then table.insert(self.keys, chat.key) end
    return chat
  end
  local archived = take(assert(user:conversation("key one " .. mark, { title = "title of " .. mark })))
  assert(assert(store:archive({ idle_before = 4102444800000 })).conversations >= 1)
  local chat = take(assert(user:conversation("key two " .. mark,
    { title = "title of " .. mark, metadata = { about = mark } })))
  assert(chat:summarize("summary of " .. mark, { through = 2, metadata = { by = mark } }))
  local fork = assert(chat:fork({ at = 4, key = "key three " .. mark, title = "branch of " .. mark }))
  take(fork)
  take(assert(archived:fork({ title = "out of the archive, " .. mark })))
  local deleted = take(assert(user:create({ key = "key four " .. mark, title = "title of " .. mark })))
  assert(deleted:delete())
  assert(chat:redact(6))
  self.words = { mark, "secret of " .. mark, '"part of ' .. mark .. '"', mark .. " -nothing", "the" }
  for _, choice in ipairs({ {}, { order = "created" }, { deleted = "any" },
    { deleted = "any", order = "created" } }) do
    choice.limit = 1
    local _, cursor = assert(user:list(choice))
    self.cursors[#self.cursors + 1] = cursor
  end
  for _, choice in ipairs({ {}, { role = "user" }, { since = 1 } }) do
    choice.limit = 1
    local _, cursor = assert(user:messages(choice))
    self.cursors[#self.cursors + 1] = cursor
  end
  for _, text in ipairs({ mark, "secret " .. mark }) do
    local _, cursor = assert(user:search(text, { limit = 1 }))
    self.cursors[#self.cursors + 1] = cursor
  end
  assert(#self.cursors == 9, "some page had no next one")
  return self
end

-- What an attacker brings along: one conversation of their own, so that something is there to be seen.
function loot.own(store, id, mark)
  local chat = assert(store:user(id):conversation("mine",
    { title = "title of " .. mark, metadata = { a = mark } }))
  fill(chat, mark)
  return chat
end

-- Every string of it that stands for itself; keys and words hold the mark.
function loot.each_string(self, fn)
  for _, subject in ipairs({ "conversations", "messages", "cursors" }) do
    for i, text in ipairs(self[subject]) do fn(text, ("<%s %d>"):format(subject, i)) end
  end
  fn(self.mark, "<mark>")
end

return loot
