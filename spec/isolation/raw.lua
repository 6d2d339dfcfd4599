-- Raw SQL against row-level security: everything of statements.lua through psql, by a login that is a member of
-- convstore_user and of nothing else, as whoever the setting names. Twice: with the ids of somebody who is there, and with
-- those of somebody who is not. Returns sentences about what was learned or changed.
--
-- Not tried: RESET ROLE, and setting another user's id. Who may run SQL as the login can do both: row-level security is a
-- second net below the "user_id =" of every statement, not a wall (docs/decisions/0012).
local attack = require "spec.isolation.attack"
local loot = require "spec.isolation.loot"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local statements = require "spec.isolation.statements"
local transcript = require "spec.isolation.transcript"

local raw = {}

local LOGIN = "bot_guest"
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

-- Runs all statements as one identity; adds to the transcript what each prints.
local function run(database, t, label, setting, fill)
  local script = { PREPARE }
  local all = {}
  for _, list in ipairs({ statements.equal, statements.silent }) do
    for _, sql in ipairs(list) do
      all[#all + 1] = { sql = sql, is_silent = list == statements.silent }
      for _, finish in ipairs({ "ROLLBACK", "COMMIT" }) do
        -- What would stay is tried once more in a transaction that is kept.
        script[#script + 1] = ("\\echo [%d]\nBEGIN;\nSET LOCAL ROLE convstore_user;\n%s\n%s\n;\n%s;"):format(#all,
          setting, fill(sql), finish)
      end
    end
  end
  script[#script + 1] = "\\echo [end]"
  local folder = shell.folder()
  shell.write(folder .. "/attack.sql", table.concat(script, "\n"))
  local url = database.admin_url:gsub("//[^@]*@", "//" .. LOGIN .. "@", 1)
  local _, output = shell.run(("%s -X -A -t -q -f %s %s"):format(psql.program("psql"),
    shell.quote(folder .. "/attack.sql"), shell.quote(url)))
  shell.remove(folder)
  assert(output:find("%[end%]\n$"), "psql did not come to the end: " .. output:sub(-1000))
  for number, text in output:gmatch("%[(%d+)%]\n(.-)%f[%[%z]%f[^\n%z]") do
    local one = all[tonumber(number)]
    text = text:gsub("psql:[^:]*:%d+: ", ""):gsub("LINE %d+:[^\n]*\n[ ^]*\n", ""):gsub("LOCATION: [^\n]*\n", "")
    t:note(("%s: %s"):format(label, one.sql), one.is_silent, text)
  end
end

-- Options: `claim`; `users` as in attack.lua; for the spec `meanwhile(victim)`.
function raw.run(store, database, elsewhere, options)
  options = options or {}
  local users = options.users or attack.USERS
  local found = {}
  local victim = loot.make(store, users.victim, loot.mark())
  local nobody = loot.make(elsewhere, users.victim .. "0", loot.mark())
  assert(store:user(users.victim):search(victim.mark))
  local marks = { loot.mark(), loot.mark() }
  database:sql("GRANT convstore_user TO " .. LOGIN .. "; ANALYZE;")
  local before = attack.rows_of(database, users.victim)
  if options.beforehand then options.beforehand(victim) end
  local transcripts = {}
  for i, name in ipairs({ "attacker", "twin" }) do
    loot.own(store, users[name], marks[i])
    local known = i == 1 and victim or nobody
    local t = transcript.new()
    local fills = { victim = known.user_id, me = users[name], mark = known.mark, conversation = known.conversations[2],
      message = known.messages[8], key = known.keys[2] }
    local function fill(sql) return (sql:gsub("{(%a+)}", fills)) end
    for _, identity in ipairs(identities(options.claim, users[name])) do
      run(database, t, identity[1], setting_of(options.claim, identity[2]), fill)
    end
    transcripts[i] = t
  end
  -- That the net holds is worth something only where the same look finds the row that may be seen.
  local t = transcript.new()
  run(database, t, "control", setting_of(options.claim, options.claim
    and ('{"%s": "%s"}'):format(options.claim, users.twin) or users.twin), function(sql)
      return (sql:gsub("{(%a+)}", { victim = users.twin, me = users.attacker, mark = marks[2],
        conversation = victim.conversations[1], message = victim.messages[1], key = "mine" }))
    end)
  database:sql("REVOKE convstore_user FROM " .. LOGIN)
  return found, transcripts, t, before, victim, nobody, marks, psql, postgres
end

return raw
