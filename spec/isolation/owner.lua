-- Somebody who uses everything and looks at each row for its owner. Several of them share a database, with the same
-- keys, conversation ids and message ids: only the user tells their rows apart. Each text of theirs carries
-- "owner:NAME;", and a row without it, or with another's, is a foreign one.
local convstore = require "convstore"
local random = require "spec.support.random"

local owner = {}
owner.__index = owner

local CONVERSATIONS = 4
local LONG = 100 -- messages, after which a conversation is purged

-- `name`: letters and digits. `seed`: for what it does when.
function owner.new(dsn, name, options, seed)
  local store = assert(convstore.open(dsn, options))
  return setmetatable({ store = store, user = store:user(name), name = name, mark = "owner:" .. name .. ";",
    random = random.new(seed), n = 0, rows = 0, calls = 0 }, owner)
end

-- The same ids for everybody.
local function conversation_id(i) return ("00000000-0000-7000-8000-%012d"):format(i) end

-- Looks at everything that a call gave, however deep. What is not to be seen is raised, and ends the process.
function owner:look(value, what)
  if type(value) == "string" then
    for name in value:gmatch("owner:(%w+);") do
      if name ~= self.name then
        error(("%s saw a row of %s in %s: %s"):format(self.name, name, what, value), 0)
      end
    end
  elseif type(value) == "table" then
    for key, item in pairs(value) do
      self:look(key, what)
      self:look(item, what)
    end
  end
end

-- The same of rows, each of which must bear the mark in the field that `text_of` gives.
function owner:look_at_rows(rows, what, text_of)
  for _, row in ipairs(rows) do
    self:look(row, what)
    local text = text_of(row)
    if type(text) ~= "string" or not text:gsub("</?b>", ""):find(self.mark, 1, true) then
      error(("%s saw a row without an owner in %s: %s"):format(self.name, what, tostring(text)), 0)
    end
  end
  self.rows = self.rows + #rows
end

local function content(message) return message.content end

function owner:chat()
  local i = self.random:int(1, CONVERSATIONS)
  local chat = assert(self.user:create({ id = conversation_id(i), key = "key " .. i,
    title = self.mark .. " title", metadata = { owner = self.mark } }))
  self:look_at_rows({ { title = chat.title, metadata = chat.metadata, key = chat.key } }, "a conversation",
    function(row) return row.title end)
  if chat.user_id ~= self.name then error(self.name .. " got a conversation of " .. chat.user_id, 0) end
  return chat
end

local calls = {}

function calls.append(self, chat)
  self.n = self.n + 1
  local message = assert(chat:append("user", self.mark .. " says " .. self.n,
    { metadata = { owner = self.mark } }))
  self:look_at_rows({ message }, "an appended message", content)
end

function calls.append_many(self, chat)
  local batch = {}
  for i = 1, 5 do batch[i] = { role = "user", content = self.mark .. " says much" } end
  self:look_at_rows(assert(chat:append_many(batch)), "appended messages", content)
end

-- An id that everybody uses: a replay gives one's own, or one's own conflict.
function calls.append_a_shared_id(self, chat)
  local id = ("00000000-0000-7000-9000-%012d"):format(self.random:int(1, 10))
  local message = assert(chat:append("user", self.mark .. " once", { id = id }))
  self:look_at_rows({ message }, "a replayed message", content)
end

function calls.history(self, chat)
  self:look_at_rows(assert(chat:history({ limit = 50 })), "a history", content)
end

function calls.each(self, chat)
  for message in chat:each({ limit = 30 }) do self:look_at_rows({ message }, "each", content) end
end

function calls.context(self, chat)
  if chat.last_seq > 0 then
    self:look_at_rows(assert(chat:context({ max_messages = 20, system = false })), "a context", content)
    self:look(assert(chat:context_json({ max_messages = 20 })), "context_json")
  end
end

function calls.summarize(self, chat)
  if chat.last_seq > 0 then self:look(assert(chat:summarize(self.mark .. " in short")), "a summary") end
end

function calls.list(self)
  self:look_at_rows(assert(self.user:list()), "a list", function(row) return row.title end)
end

function calls.messages(self)
  self:look_at_rows(assert(self.user:messages({ limit = 30 })), "messages", content)
end

function calls.search(self)
  self:look_at_rows(assert(self.user:search("says", { limit = 10 })), "hits", function(hit)
    return hit.message.content
  end)
  self:look_at_rows(assert(self.user:search('"owner"', { limit = 10 })), "hits", function(hit)
    return hit.snippet
  end)
end

function calls.usage(self)
  self:look(assert(self.user:usage({ by = "conversation" })), "usage")
end

function calls.fork(self, chat)
  local fork = assert(chat:fork({ title = self.mark .. " branch" }))
  self:look_at_rows(assert(fork:history({ limit = 20 })), "a fork", content)
  assert(fork:purge())
end

function calls.transaction(self, chat)
  assert(self.store:transaction(function()
    self.n = self.n + 1
    local message = assert(chat:append("user", self.mark .. " in a transaction"))
    self:look_at_rows({ message }, "a transaction", content)
    self:look_at_rows(assert(chat:history({ limit = 5 })), "a history in a transaction", content)
    return true
  end))
end

function calls.another_users_id(self)
  local stranger = self.store:user(self.name .. "x")
  local chat, _, code = stranger:get(conversation_id(self.random:int(1, CONVERSATIONS)))
  if chat or code ~= "not_found" then error("a stranger got " .. tostring(chat or code), 0) end
end

function calls.purge(_, chat)
  if chat.last_seq > LONG then assert(chat:purge()) end
end

local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)

-- What may happen when connections break or a transaction's server goes away: nothing that shows a row.
local HARMLESS = { unavailable = true, busy = true, timeout = true }

-- One call of some kind. A foreign row raises; so does every failure that is not one of a broken connection.
function owner:step()
  local name = self.random:pick(names)
  self.calls = self.calls + 1
  local ok, message = pcall(function() calls[name](self, self:chat()) end)
  if not ok and not HARMLESS[tostring(message):gsub("^[^ ]*:%d+: ", ""):match("^(%a+): ")] then
    error(name .. ": " .. tostring(message), 0)
  end
  return ok
end

return owner
