-- What conv:history answers, said in plain Lua over a list of roles: the law that the databases are compared with.
local model = {}

local ROLES = { "user", "assistant", "system", "developer" }

-- The seqs of the messages that `options` ask for, in the order of the answer.
function model.seqs(roles, options)
  local wanted = options.role
  if type(wanted) == "string" then
    wanted = { wanted }
  end
  local found = {}
  for seq, role in ipairs(roles) do
    local fits = seq > (options.after or 0) and seq < (options.before or math.huge)
    if fits and wanted then
      fits = false
      for _, name in ipairs(wanted) do
        fits = fits or name == role
      end
    end
    if fits then
      found[#found + 1] = seq
    end
  end
  local first, last = 1, #found
  if options.limit then
    if options.after then
      last = math.min(last, options.limit)
    else
      first = math.max(first, #found - options.limit + 1)
    end
  end
  local answer = table.move(found, first, last, 1, {})
  if options.order == "desc" then
    local reversed = {}
    for i = #answer, 1, -1 do
      reversed[#reversed + 1] = answer[i]
    end
    answer = reversed
  end
  return answer
end

-- A random list of roles: what a history was made of.
function model.random_roles(random, n)
  local roles = {}
  for i = 1, n do
    roles[i] = random:pick(ROLES)
  end
  return roles
end

-- Random options for a history of n messages, at its borders more often than in its middle.
function model.random_options(random, n)
  local function seq()
    return random:pick({ 0, 1, 2, n - 1, n, n + 1, n + 100, random:int(0, n + 1), random:int(0, n + 1) })
  end
  local options = {}
  if random:chance(50) then options.after = math.max(0, seq()) end
  if random:chance(50) then options.before = math.max(0, seq()) end
  if random:chance(60) then options.limit = random:pick({ 1, 2, 3, random:int(1, n + 1), n, n + 5,
    math.maxinteger }) end
  if random:chance(40) then
    if random:chance(50) then
      options.role = random:pick(ROLES)
    else
      options.role = {}
      for i = 1, random:int(1, 3) do
        options.role[i] = random:pick(ROLES)
      end
    end
  end
  if random:chance(50) then options.order = random:pick({ "asc", "desc" }) end
  return options
end

-- Options as a person can read them.
function model.describe(options)
  local parts = {}
  for _, name in ipairs({ "after", "before", "limit", "order" }) do
    if options[name] then
      parts[#parts + 1] = name .. " = " .. tostring(options[name])
    end
  end
  if options.role then
    local role = options.role
    parts[#parts + 1] = "role = " .. (type(role) == "table" and "{" .. table.concat(role,
      ", ") .. "}" or role)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- A stored history of these roles: contents "1", "2", ….
function model.fill(conv, roles)
  local batch = {}
  for seq, role in ipairs(roles) do
    batch[seq] = { role = role, content = tostring(seq) }
  end
  assert(conv:append_many(batch))
end

return model
