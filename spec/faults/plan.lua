-- What the writers of a run send: everything follows from the run's seed and the numbers of writer and unit, so that
-- the writer and the checker, two processes, agree on every byte without telling each other.
--
-- A *unit* is one call whose effect is all or nothing: an `append`, an `append_many` or a transaction. It has *parts*,
-- the messages. A part's id tells writer, unit and part, and so does the beginning of its text: a message that was
-- stored twice is known for one even under another id.
local random = require "spec.support.random"

local plan = {}
plan.__index = plan

-- `seed`; `kinds`: "single", "batch", "transaction", any of them with spaces between; `users`: writer w writes as user
-- w % users; `keys`: to so many conversations; `long`: how many texts of a hundred are long ones.
function plan.new(fields)
  return setmetatable({
    seed = assert(math.tointeger(fields.seed)),
    kinds = fields.kinds or "single batch transaction",
    users = fields.users or 1,
    keys = fields.keys or 1,
    long = fields.long or 2,
  }, plan)
end

-- The same as words of a command line, and back.
function plan:words()
  return { self.seed, self.kinds, self.users, self.keys, self.long }
end

function plan.from_words(seed, kinds, users, keys, long)
  return plan.new({ seed = seed, kinds = kinds, users = math.tointeger(users), keys = math.tointeger(keys),
    long = math.tointeger(long) })
end

function plan.id(writer, unit, part)
  return ("%08x-%04x-7000-8000-%012x"):format(writer, part, unit)
end

-- Writer, unit and part of an id or of a text; nothing where it is none of ours.
function plan.parse_id(id)
  local writer, part, unit = id:match("^(%x+)%-(%x+)%-7000%-8000%-(%x+)$")
  if writer then
    return tonumber(writer, 16), tonumber(unit, 16), tonumber(part, 16)
  end
end

function plan.parse_text(text)
  local writer, unit, part = text:match("^(%d+)%.(%d+)%.(%d+) ")
  return math.tointeger(writer), math.tointeger(unit), math.tointeger(part)
end

function plan:user(writer)
  return "user " .. writer % self.users
end

function plan.key(number)
  return "shared " .. number
end

local ROLES = { "user", "user", "assistant", "assistant", "system" }

-- Texts are pieces of this: a random source for each character would take longer than to store it.
local characters = {}
do
  local source = random.new(1)
  for i = 1, 1000 do characters[i] = source:char() end
end

local function text_of(self, source)
  local from = source:int(1, 900)
  local text = "\n'\"\\|" .. table.concat(characters, "", from, from + source:int(0, 60))
  if source:int(1, 100) <= self.long then
    -- Beyond a page of SQLite's and what PostgreSQL keeps in a row, and nothing that it could compress.
    local words = {}
    for i = 1, source:int(200, 2000) do words[i] = ("%016x"):format(source:bits()) end
    text = text .. table.concat(words)
  end
  return text
end

-- Unit `unit` of `writer`: `kind`, `user`, `parts` (each `id`, `key`, `role`, `content`, `token_count`), and `undone`:
-- a transaction that its program gives up at the end.
function plan:unit(writer, unit)
  local source = random.new(self.seed * 1000003 + writer * 7919 + unit)
  source:bits()
  local kinds = {}
  for kind in self.kinds:gmatch("%a+") do
    kinds[#kinds + 1] = kind
  end
  local kind = source:pick(kinds)
  local n_parts = kind == "single" and 1 or kind == "batch" and source:int(2, 20) or source:int(2, 6)
  local key = source:int(1, self.keys)
  -- A transaction writes to two conversations, if there are as many, in turn: always to the lower one first, as
  -- programs do that want no deadlock, which PostgreSQL takes a second to notice.
  local other = key % self.keys + 1
  if kind == "transaction" then key, other = math.min(key, other), math.max(key, other) end
  local result = { kind = kind, user = self:user(writer), parts = {},
    undone = kind == "transaction" and source:chance(10) }
  for part = 1, n_parts do
    local number = kind == "transaction" and part % 2 == 0 and other or key
    result.parts[part] = {
      id = plan.id(writer, unit, part),
      key = plan.key(number),
      role = source:pick(ROLES),
      content = ("%d.%d.%d "):format(writer, unit, part) .. text_of(self, source),
      token_count = source:int(0, 500),
      metadata = { unit = unit },
    }
  end
  return result
end

return plan
