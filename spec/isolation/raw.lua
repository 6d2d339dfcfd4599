-- Raw SQL against row-level security: everything of statements.lua through psql, by a login that is a member of
-- convstore_user and of nothing else, as whoever the setting names. Twice: with the ids of somebody who is there, and
-- with those of somebody who is not. Returns sentences about what was learned or changed.
--
-- Not tried: RESET ROLE, and setting another user's id. Who may run SQL as the login can do both: row-level security is
-- a second net below the "user_id =" of every statement, not a wall (docs/decisions/0012).
local attack = require "spec.isolation.attack"
local loot = require "spec.isolation.loot"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local statements = require "spec.isolation.statements"
local transcript = require "spec.isolation.transcript"

local raw = {}

local LOGIN = "bot_guest"
local GIVEN_CONVERSATION = 2 -- of the victim's, whose id the attacker gives
local PREPARE = [[
\set VERBOSITY verbose
SET client_min_messages = 'notice';
SET ROLE convstore_user;
CREATE FUNCTION pg_temp.leak(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE NOTICE 'seen %', t; RETURN true; END $$;
CREATE FUNCTION pg_temp.leak2(a text, b text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE NOTICE 'seen %', a; RETURN true; END $$;
CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.leak2, RESTRICT = eqsel);
]]

-- How a transaction says who it is.
local function setting_of(claim, value)
  if value == nil then return "" end
  if not claim then return ("SET LOCAL convstore.user_id = '%s';"):format((value:gsub("'", "''"))) end
  return ("SET LOCAL request.jwt.claims = '%s';"):format((value:gsub("'", "''")))
end

-- The identities an attacker may have: label, value of the setting (nil: never set).
local function identities(claim, me)
  if not claim then
    return { { "me", me }, { "unset" }, { "empty", "" }, { "garbage", "' OR '1'='1" }, { "percent", "%" } }
  end
  return { { "me", ('{"%s": "%s"}'):format(claim, me) }, { "unset" }, { "empty", "" }, { "no claim", "{}" },
    { "null", ('{"%s": null}'):format(claim) }, { "a list", ('{"%s": ["%s"]}'):format(claim, me) },
    { "garbage", "{" }, { "no object", "[1]" } }
end

local ENDS = { "ROLLBACK", "COMMIT" }

-- Runs a list of statements as one identity, each in a transaction with each of the ends; adds to the transcript what
-- each prints.
local function run(database, t, label, setting, list, fill, ends)
  local script = { PREPARE }
  for i, sql in ipairs(list) do
    for _, finish in ipairs(ends) do
      script[#script + 1] = ("\\echo [%d]\nBEGIN;\nSET LOCAL ROLE convstore_user;\n%s\n%s\n;\n%s;"):format(i,
        setting, fill(sql), finish)
    end
  end
  script[#script + 1] = "\\echo [0]"
  local folder = shell.folder()
  shell.write(folder .. "/attack.sql", table.concat(script, "\n"))
  local url = database.admin_url:gsub("//[^@]*@", "//" .. LOGIN .. "@", 1)
  -- By lines, so that answers and errors come in the order of the statements.
  local _, output = shell.run(("stdbuf -oL %s -X -A -t -q -f %s %s"):format(psql.program("psql"),
    shell.quote(folder .. "/attack.sql"), shell.quote(url)))
  shell.remove(folder)
  local number, lines = nil, {}
  for line in output:gmatch("[^\n]*") do
    local next_number = tonumber(line:match("^%[(%d+)%]$"))
    if next_number then
      if number then t:note(label .. ": " .. list[number], table.concat(lines, "\n")) end
      number, lines = next_number, {}
    elseif not line:find("^LOCATION:") and not line:find("LINE %d+:") and not line:find("^ *%^$") then
      lines[#lines + 1] = line:gsub("^psql:.-: ", "")
    end
  end
  assert(number == 0, "psql did not come to the end: " .. output:sub(-1000))
end

-- Lines with something of the victim's that the statement did not give: the mark, ids, their user id.
local function leaks(t, victim)
  local found = t:leaks(victim)
  for i, line in ipairs(t.seen) do
    local given = t.labels[i]
    for n, id in ipairs(victim.conversations) do
      if n ~= GIVEN_CONVERSATION and line:find(id, 1, true) then found[#found + 1] = given .. ": " .. line end
    end
    if not given:find("{victim}", 1, true) and line:find(victim.user_id, 1, true) then
      found[#found + 1] = given .. ": " .. line
    end
  end
  return found
end

-- Tables and functions of the schema that no statement tries.
local function missing(database)
  local found = {}
  local function compare(sql, list)
    local known = {}
    for _, name in ipairs(list) do known[name] = true end
    for name in database:sql(sql):gmatch("[^\n]+") do
      if not known[name] then found[#found + 1] = name .. " is attacked by nothing" end
    end
  end
  compare("SELECT table_name FROM information_schema.columns WHERE table_schema = 'convstore'"
    .. " AND column_name = 'user_id'", statements.TABLES)
  compare("SELECT proname FROM pg_proc WHERE pronamespace = 'convstore'::regnamespace", statements.FUNCTIONS)
  return found
end

-- Options: `claim`, `users` as in attack.lua; for the spec `beforehand(victim)`, called ahead of the attacks, which
-- then are those of the attacker and of nobody alone.
-- Returns what was found, and how many answers were looked at.
function raw.run(store, database, elsewhere, options)
  options = options or {}
  local users = options.users or attack.USERS
  local victim = loot.make(store, users.victim, loot.mark())
  local nobody = loot.make(elsewhere, users.nobody or "no-body", loot.mark())
  assert(store:user(users.victim):search(victim.mark))
  database:sql("GRANT convstore_user TO " .. LOGIN .. "; ANALYZE;")
  local before, n = attack.rows_of(database, users.victim), 0
  if options.beforehand then options.beforehand(victim) end
  local found = missing(database)
  local transcripts = {}
  local function attack_as(name, known, fills, list, label, setting, ends)
    local t = transcript.new(known, users[name], fills.own)
    run(database, t, label, setting, list, function(sql) return (sql:gsub("{(%a+)}", fills)) end, ends)
    n = n + #t.seen
    return t
  end
  for i, name in ipairs({ "attacker", "twin" }) do
    local own = loot.mark()
    loot.own(store, users[name], own)
    local known = i == 1 and victim or nobody
    local fills = { victim = known.user_id, me = users[name], mark = known.mark, key = known.keys[2],
      own = own, conversation = known.conversations[GIVEN_CONVERSATION], message = known.messages[8] }
    transcripts[i] = {}
    for k, identity in ipairs(identities(options.claim, users[name])) do
      if options.beforehand and k > 2 then break end
      local setting = setting_of(options.claim, identity[2])
      for _, list in ipairs({ statements.equal, statements.silent }) do
        -- For one who is nobody in yet another way it is enough to look.
        local t = attack_as(name, known, fills, list, identity[1], setting, k <= 2 and ENDS or { "ROLLBACK" })
        for _, line in ipairs(leaks(t, victim)) do found[#found + 1] = "leaked: " .. line end
        -- Somebody who says nothing or nonsense is nobody, and has no rows.
        if k > 1 then
          for _, line in ipairs(t:leaks({ mark = own, keys = {} })) do
            found[#found + 1] = "leaked: " .. line
          end
        end
        if list == statements.equal then transcripts[i][k] = t end
      end
    end
  end
  for k, t in ipairs(transcripts[1]) do
    for _, line in ipairs(t:differences(transcripts[2][k])) do found[#found + 1] = line end
  end
  if attack.rows_of(database, users.victim) ~= before then
    found[#found + 1] = "rows of the victim's have changed"
  end
  -- That nothing is seen is worth something only where the same look sees what may be seen.
  local as_victim = options.claim and ('{"%s": "%s"}'):format(options.claim, users.victim) or users.victim
  local control = attack_as("victim", nobody, { own = victim.mark }, { "TABLE convstore.messages" },
    "control", setting_of(options.claim, as_victim), { "ROLLBACK" })
  if #leaks(control, victim) == 0 then
    found[#found + 1] = "psql does not even show the victim their own rows"
  end
  database:sql("REVOKE convstore_user FROM " .. LOGIN)
  return found, n
end

return raw
