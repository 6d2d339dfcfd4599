-- What an attacker saw: what each call returned or raised, fields of handles included, as lines of text.
--
-- One decision shaped it: the same attack runs twice, with the ids of somebody who is there and with those of somebody
-- in another database. In the second form of each line ids, cursors, marks and times are replaced by their names, so
-- any difference between two transcripts tells the attacker something, whatever it is. And in the first form, as it was
-- seen, the victim's mark is a row that leaked.
local loot = require "spec.isolation.loot"

local transcript = {}
transcript.__index = transcript

local FIELDS = { "id", "key", "user_id", "title", "status", "metadata", "created_at", "updated_at",
  "deleted_at", "message_count", "token_count", "last_seq", "forked_from" }
local UUID = ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12)
local MILLISECONDS = "%f[%d]1[6-9]%d%d%d%d%d%d%d%d%d%d%d%f[%D]" -- of our days
local TIMESTAMP = "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d[%d.]*%+%d%d" -- as psql prints one
local LONGEST_WORD = 50 -- what is longer is a cursor

local function plain(text) return (text:gsub("%p", "%%%0")) end

-- Lists come without their order: rows of one millisecond are ordered by ids, which differ from run to run.
local function text_of(value, leaf, seen)
  local kind = type(value)
  if kind == "userdata" and (getmetatable(value) or {}).__name == "convstore.conversation" then
    local fields = {}
    for i, name in ipairs(FIELDS) do fields[i] = name .. "=" .. text_of(value[name], leaf, seen) end
    return "conversation{" .. table.concat(fields, ",") .. "}"
  elseif kind == "table" then
    if seen[value] then return "<again>" end
    seen[value] = true
    local items = {}
    for key, item in pairs(value) do
      items[#items + 1] = (type(key) == "string" and leaf(key) .. "=" or "") .. text_of(item, leaf, seen)
    end
    table.sort(items)
    return "{" .. table.concat(items, ",") .. "}"
  elseif kind == "function" or kind == "userdata" then
    return kind
  elseif math.type(value) == "float" then
    return ("%.2f"):format(value) -- a score, in which time counts a little
  end
  return leaf(tostring(value))
end

-- `known`: the loot whose ids the attacker gives; `me`, `mark`: who they are, and their own mark.
function transcript.new(known, me, mark)
  local names = {}
  loot.each_string(known, function(text, name) names[text] = name end)
  local function cursor(word)
    return #word > LONGEST_WORD and (names[word] or "<cursor>") or nil
  end
  local function uuid(id)
    return names[id] or names[id:lower()] or "<id>"
  end
  local function rename(text)
    text = text:gsub("[%w_-]+", cursor):gsub(UUID, uuid):gsub(known.mark, "<mark>"):gsub(mark, "<my mark>")
    return (text:gsub(plain(me), "<me>"):gsub(plain(known.user_id), "<victim>"):gsub(MILLISECONDS, "<time>")
      :gsub(TIMESTAMP, "<time>"))
  end
  return setmetatable({ labels = {}, seen = {}, renamed = {}, rename = rename }, transcript)
end

local function as_it_is(text) return text end

-- Adds what a call gave. The words of a label are the test's own.
function transcript:note(label, ...)
  local results = table.pack(...)
  local seen, renamed = {}, {}
  for i = 1, results.n do
    seen[i] = text_of(results[i], as_it_is, {})
    renamed[i] = text_of(results[i], self.rename, {})
  end
  self.labels[#self.labels + 1] = label
  self.seen[#self.seen + 1] = table.concat(seen, " | ")
  self.renamed[#self.renamed + 1] = table.concat(renamed, " | ")
end

-- Calls, and adds what it returned or raised.
function transcript:try(label, fn, ...)
  self:note(label, pcall(fn, ...))
end

-- Where a mark of `victim` stands. Only the victim's keys may come back to who gave them: as the key of a conversation
-- of their own, or in a message that repeats it.
function transcript:leaks(victim)
  local found = {}
  for i, line in ipairs(self.seen) do
    for _, text in ipairs(victim.keys) do line = line:gsub(plain(text), "<given>") end
    if line:find(victim.mark, 1, true) then found[#found + 1] = self.labels[i] .. ": " .. self.seen[i] end
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
function transcript:differences(other)
  local found = {}
  local a, b = self.renamed, other.renamed
  if #a ~= #b then found[1] = ("%d answers and %d"):format(#a, #b) end
  for i = 1, math.min(#a, #b) do
    if a[i] ~= b[i] then
      found[#found + 1] = ("%s: %q for what is there, %q for what is not"):format(self.labels[i],
        cut(a[i], b[i]))
    end
  end
  return found
end

return transcript
