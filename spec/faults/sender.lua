-- Sends units of a plan through an open store, as a program would: one call each, or one transaction.
local sender = {}
sender.__index = sender

-- For one store and one user of it.
function sender.new(store, user)
  return setmetatable({ store = store, user = store:user(user), chats = {} }, sender)
end

function sender:chat(key)
  if not self.chats[key] then
    local chat, message, code = self.user:conversation(key)
    if not chat then return nil, message, code end
    self.chats[key] = chat
  end
  return self.chats[key]
end

local function fields(part)
  return { role = part.role, content = part.content, id = part.id, token_count = part.token_count,
    metadata = part.metadata }
end

local send = {}

function send.single(self, unit)
  local chat, message, code = self:chat(unit.parts[1].key)
  if not chat then return nil, message, code end
  local stored
  stored, message, code = chat:append(fields(unit.parts[1]))
  return stored and { stored }, message, code
end

function send.batch(self, unit)
  local chat, message, code = self:chat(unit.parts[1].key)
  if not chat then return nil, message, code end
  local batch = {}
  for i, part in ipairs(unit.parts) do
    batch[i] = fields(part)
  end
  return chat:append_many(batch)
end

function send.transaction(self, unit)
  return self.store:transaction(function()
    local all = {}
    for i, part in ipairs(unit.parts) do
      local chat, message, code = self:chat(part.key)
      if not chat then return nil, message, code end
      local stored
      stored, message, code = chat:append(fields(part))
      if not stored then return nil, message, code end
      all[i] = stored
    end
    if unit.undone then return nil, "given up", "undone" end
    return all
  end)
end

-- One call. Its seqs with spaces between; or nil, the code and the message: "undone" where the unit says so.
function sender:send(unit)
  local known = {}
  for key, chat in pairs(self.chats) do
    known[key] = chat
  end
  local stored, message, code = send[unit.kind](self, unit)
  if not stored then
    -- A conversation that a lost transaction made is not there.
    self.chats = known
    return nil, code, message
  end
  assert(#stored == #unit.parts, "another number of messages was stored than sent")
  local seqs = {}
  for i, part in ipairs(unit.parts) do
    assert(stored[i].id == part.id, "the stored message has another id")
    assert(stored[i].content == part.content, "the stored message has another text")
    seqs[i] = stored[i].seq
  end
  return table.concat(seqs, " ")
end

-- After these the same call may be made again.
sender.AGAIN = { busy = true, timeout = true, unavailable = true }

-- Sends a unit until it is known what became of it, and tells `say` each step in the words of ledger.lua. Answers
-- "acknowledged", "refused" or "undone".
function sender:settle(number, unit, say, expired)
  say("try " .. number)
  while true do
    local seqs, code, message = self:send(unit)
    if seqs then
      say("ack " .. number .. " " .. seqs)
      return "acknowledged"
    elseif code == "undone" then
      say("undone " .. number)
      return "undone"
    elseif not sender.AGAIN[code] then
      io.stderr:write(message, "\n")
      say(("no %d %s"):format(number, code))
      return "refused"
    end
    say(("fail %d %s"):format(number, code))
    if expired() then error("it failed again and again: " .. message) end
  end
end

return sender
