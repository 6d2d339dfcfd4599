-- One attack on a database by the methods of handles: a victim and two attackers who do the same, one with all that
-- there is to know about the victim, the other with the same about somebody who is in another database. Returns a list
-- of sentences, one for each thing that an attacker learned or changed.
local attacks = require "spec.isolation.attacks"
local loot = require "spec.isolation.loot"
local transcript = require "spec.isolation.transcript"

local attack = {}

attack.USERS = { victim = "vic-tim", attacker = "mal-lory", twin = "the-twin" } -- the attackers' are of one length

-- All rows of a user, of every table that has users, as the database's own shell prints them.
local function rows_of(database, user)
  local names
  local order = database.server_database and "t::text" or "rowid"
  if database.server_database then
    names = database:sql([[SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
      WHERE table_schema = 'convstore' AND column_name = 'user_id' ORDER BY 1;]])
  else
    names = database:sql([[SELECT m.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
      WHERE m.type = 'table' AND c.name = 'user_id' ORDER BY 1;]])
  end
  local dump = {}
  for name in names:gmatch("[^\n]+") do
    dump[#dump + 1] = "-- " .. name
    dump[#dump + 1] = database:sql(("SELECT * FROM %s AS t WHERE CAST(user_id AS text) = '%s' ORDER BY %s;")
      :format(name, user, order))
  end
  return table.concat(dump, "\n")
end
attack.rows_of = rows_of

-- `database`: of spec/support/backends.lua, with the store open on it. `elsewhere`: a store of another database.
-- Options: `users`, other ids than attack.USERS. For the spec: `beforehand(victim)` and `meanwhile(victim)`, called
-- ahead of the attacks and behind them.
function attack.run(store, database, elsewhere, options)
  options = options or {}
  local users = options.users or attack.USERS
  local found = {}
  for _, name in ipairs(attacks.missing()) do found[#found + 1] = name .. " is attacked by nothing" end
  local victim = loot.make(store, users.victim, loot.mark())
  local nobody = loot.make(elsewhere, users.victim, loot.mark())
  -- The search index of the victim's is made by their searches: all is indexed before the first look.
  assert(store:user(users.victim):search(victim.mark))
  local marks = { loot.mark(), loot.mark() }
  local before
  local transcripts = {}
  for i, name in ipairs({ "attacker", "twin" }) do
    local own = loot.own(store, users[name], marks[i])
    before = before or rows_of(database, users.victim)
    if i == 1 and options.beforehand then options.beforehand(victim) end
    local known = i == 1 and victim or nobody
    local t = transcript.new(known, users[name], marks[i])
    attacks.run(t, store, store:user(users[name]), own, known)
    transcripts[i] = t
  end
  if options.meanwhile then options.meanwhile(victim) end
  for _, line in ipairs(transcripts[1]:leaks(victim)) do found[#found + 1] = "leaked: " .. line end
  for _, line in ipairs(transcripts[1]:differences(transcripts[2])) do found[#found + 1] = line end
  if rows_of(database, users.victim) ~= before then
    found[#found + 1] = "rows of the victim's have changed"
  end
  if not before:find(victim.mark, 1, true) then found[#found + 1] = "plain SQL saw no row of the victim's" end
  return found, #transcripts[1].seen
end

return attack
