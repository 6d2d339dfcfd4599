-- What an attacker saw, as lines of text: what each call returned or raised, fields of handles included.
--
-- One decision shaped it: the same attack runs twice, with the ids of somebody who is there and with those of somebody who
-- is in another database. In both transcripts what was known before, ids and times are replaced by their names. Then any
-- difference tells the attacker something, whatever it is; and a mark that nobody gave is a row that leaked.
local loot = require "spec.isolation.loot"

local transcript = {}
transcript.__index = transcript

local FIELDS = { "id", "key", "user_id", "title", "status", "metadata", "created_at", "updated_at", "deleted_at",
  "message_count", "token_count", "last_seq", "forked_from" }
local UUID = ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12)

-- What stays of a text when it is to be the same in every run.
local function masked(text)
  return (text:gsub(UUID, ""):gsub("%f[%d]1[6-9]%d%d%d%d%d%d%d%d%d%d%d%f[%D]", ""))
end

local function text_of(value, seen)
  local kind = type(value)
  if kind == "userdata" and getmetatable(value) and getmetatable(value).__name == "convstore.conversation" then
    local fields = {}
    for i, name in ipairs(FIELDS) do fields[i] = name .. "=" .. text_of(value[name], seen) end
    return "conversation{" .. table.concat(fields, ",") .. "}"
  elseif kind == "table" then
    if seen[value] then return "<again>" end
    seen[value] = true
    -- Lists without their order: rows of one millisecond are ordered by ids, which differ from run to run.
    local items = {}
    for key, item in pairs(value) do
      items[#items + 1] = (type(key) == "string" and key .. "=" or "") .. text_of(item, seen)
    end
    table.sort(items, function(a, b)
      local x, y = masked(a), masked(b)
      if x == y then return a < b end
      return x < y
    end)
    return "{" .. table.concat(items, ",") .. "}"
  elseif kind == "function" or kind == "userdata" then
    return kind
  end
  if math.type(value) == "float" then return ("%.2f"):format(value) end -- a score, in which time counts a little
  return tostring(value)
end

function transcript.new()
  return setmetatable({ labels = {}, lines = {} }, transcript)
end

-- Adds what a call gave. The words of a label are the test's own.
function transcript:note(label, ...)
  local results = table.pack(...)
  local texts = {}
  for i = 1, results.n do texts[i] = text_of(results[i], {}) end
  self.labels[#self.labels + 1] = label
  self.lines[#self.lines + 1] = table.concat(texts, " | ")
end

-- Calls, and adds what it returned or raised.
function transcript:try(label, fn, ...)
  self:note(label, pcall(fn, ...))
end

local function plain(text) return (text:gsub("%p", "%%%0")) end

-- The lines, with what the attacker gave, who they are, their own mark, and whatever is new in each run replaced.
-- `side`: { transcript, loot, user id, mark }.
local function normalized(side)
  local self, known, me, mark = table.unpack(side)
  local names = { { plain(mark), "<my mark>" } }
  loot.each_string(known, function(text, name)
    if text == known.mark or not text:find(known.mark, 1, true) then names[#names + 1] = { plain(text), name } end
  end)
  local own, n_own = {}, 0
  local out = {}
  for i, line in ipairs(self.lines) do
    for _, name in ipairs(names) do line = line:gsub(name[1], name[2]) end
    line = line:gsub(UUID, function(id)
      if not own[id] then
        n_own = n_own + 1
        own[id] = ("<id %d>"):format(n_own)
      end
      return own[id]
    end)
    line = line:gsub(plain(me), "<me>")
    line = line:gsub("%f[%d]1[6-9]%d%d%d%d%d%d%d%d%d%d%d%f[%D]", "<time>")
    line = line:gsub("%f[%w_-][%w_-]+%f[^%w_-]", function(word) return #word > 50 and "<cursor>" or nil end)
    out[i] = line
  end
  return out
end

-- Where a mark of `victim` stands. Only the victim's keys may come back to who gave them: as the key of a conversation of
-- their own, or in a message that repeats it.
function transcript:leaks(victim)
  local found = {}
  for i, line in ipairs(self.lines) do
    for _, text in ipairs(victim.keys) do
      line = line:gsub(plain(text), "<given>")
    end
    if line:find(victim.mark, 1, true) then found[#found + 1] = self.labels[i] .. ": " .. self.lines[i] end
  end
  return found
end

-- The neighbourhood of the first byte in which they differ.
local function cut(a, b)
  local at = 1
  while a:byte(at) == b:byte(at) do at = at + 1 end
  return a:sub(math.max(at - 80, 1), at + 120), b:sub(math.max(at - 80, 1), at + 120)
end

-- The lines in which two transcripts of the same attack differ.
function transcript.differences(first, second)
  local found = {}
  local a, b = normalized(first), normalized(second)
  if #a ~= #b then found[1] = ("%d answers and %d"):format(#a, #b) end
  for i = 1, math.min(#a, #b) do
    if a[i] ~= b[i] then
      found[#found + 1] = ("%s: %q for what is there, %q for what is not"):format(first[1].labels[i], cut(a[i], b[i]))
    end
  end
  return found
end

return transcript
