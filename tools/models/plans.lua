-- How the databases carry out the statements: their own EXPLAIN, under the settings that the library's calls run with.
-- SQLite's plans follow from the schema alone, since nobody runs ANALYZE on these files; PostgreSQL's also from
-- what ANALYZE has counted, so they are asked for beside the rows of seed().
local plans = {}

function plans.sqlite(run, sql)
  local plan = run("EXPLAIN QUERY PLAN " .. sql .. ";"):gsub("^QUERY PLAN\n", ""):gsub("%s+$", "")
  return plan
end

-- 24,000 messages of 40 users in 50 conversations each: few enough for ANALYZE to read every row, so it always
-- comes to the same figures. Some conversations are archived, some deleted, some have a summary, some are indexed.
local SEED = [[
INSERT INTO convstore.conversations (user_id, id, key, title, last_seq, token_count, pinned_token_count,
    created_at, updated_at, deleted_at, archived_at, archived_seq, search_pending)
SELECT 'user ' || u, CAST(md5(u || '/' || c) AS uuid), 'key ' || c, 'Conversation ' || c, 12, 12 * 45, 45,
       to_timestamp(1700000000 + 3600 * c + u), to_timestamp(1700000000 + 3600 * c + u + 60),
       CASE WHEN c %% 17 = 0 THEN to_timestamp(1710000000 + c) END,
       CASE WHEN c %% 10 = 0 THEN to_timestamp(1710000000 + c) END,
       CASE WHEN c %% 10 = 0 THEN 12 ELSE 0 END, c > 25
  FROM generate_series(1, 40) AS u, generate_series(1, 50) AS c;
INSERT INTO convstore.%s (user_id, conversation_id, seq, id, role, content, token_count, token_total,
    created_at)
SELECT c.user_id, c.id, s, CAST(md5(c.id || '/' || s) AS uuid),
       CASE WHEN s = 1 THEN 'system' WHEN s %% 2 = 0 THEN 'user' ELSE 'assistant' END,
       repeat('some words ', 16), 45, 45 * (s - 1), c.created_at + s * interval '1 second'
  FROM convstore.conversations AS c, generate_series(1, 12) AS s WHERE (c.archived_at IS NULL) = %s;
]]
local SEED_REST = [[
INSERT INTO convstore.summaries (user_id, conversation_id, ordinal, through, content, token_count, created_at)
SELECT user_id, id, 1, 6, 'What was said', 4, updated_at FROM convstore.conversations WHERE search_pending;
INSERT INTO convstore.search_segments (user_id, conversation_id, n_messages, messages)
SELECT user_id, id, 12, '\x00' FROM convstore.conversations WHERE NOT search_pending;
INSERT INTO convstore.search_runs (user_id, conversation_id, first_seq, last_seq, segment_id)
SELECT user_id, conversation_id, 1, 12, id FROM convstore.search_segments;
INSERT INTO convstore.search_postings (user_id, segment_id, bucket, postings)
SELECT user_id, id, b, '\x00' FROM convstore.search_segments, generate_series(1, 20) AS b;
VACUUM ANALYZE;
]]

function plans.seed(run)
  local conversations, messages = SEED:match("^(.-;\n)(.*)$")
  run(conversations:gsub("%%%%", "%%"))
  run(messages:format("messages", "true"))
  run(messages:format("messages_archive", "false"))
  run(SEED_REST)
end

-- As the library fills the statements' texts in for its default options.
function plans.filled(sql)
  local texts = { schema = "convstore", user_id_type = "text", claim = "",
    role = ", set_config('role', 'convstore_user', true)",
    operator_role = ", set_config('role', 'convstore_operator', true)" }
  return (sql:gsub("{{([%w_]+)}}", texts))
end

local function n_parameters(sql)
  local n = 0
  for digits in sql:gmatch("%$(%d+)") do
    n = math.max(n, tonumber(digits))
  end
  return n
end

local function execution(name, sql, arguments)
  local given = {}
  for i = 1, n_parameters(sql) do
    given[i] = arguments[i] or "NULL"
  end
  return name .. (#given > 0 and "(" .. table.concat(given, ", ") .. ")" or "")
end

-- Settings that a call of a user, or of an operator, has set before its statement.
local FRAMES = {
  user = { { "settings", { "'user 7'", "'0'", "'0'", "'on'" } } },
  operator = { { "operator_settings", { "'0'", "'0'", "'on'" } }, { "plan_by_index", {} } },
}

local MARK = "-- the plan --"

-- Lines that say nothing about the way to the rows: what a filter compares, and row-level security's own test of the
-- user, which stands at every table.
local function is_told(line)
  return not (line:find("^%s*Filter:") or line:find("^%s*One%-Time Filter:") or line:find("^%s*Join Filter:"))
end

-- `statement(name)` gives a statement's text.
function plans.postgres(run, sql, frame, statement)
  local script = { "BEGIN;" }
  for i, setting in ipairs(FRAMES[frame or "user"]) do
    local text = plans.filled(statement(setting[1]))
    script[#script + 1] = ("PREPARE setting_%d AS %s; EXECUTE %s;"):format(i, text,
      execution("setting_" .. i, text, setting[2]))
  end
  sql = plans.filled(sql)
  script[#script + 1] = ("PREPARE asked AS %s; SELECT '%s';"):format(sql, MARK)
  script[#script + 1] = "SET LOCAL plan_cache_mode = 'force_generic_plan';"
  script[#script + 1] = ("EXPLAIN (COSTS OFF) EXECUTE %s; DEALLOCATE ALL; ROLLBACK;"):format(
    execution("asked", sql, {}))
  local answer = run(table.concat(script, "\n"))
  local lines = {}
  for line in answer:match(MARK:gsub("%-", "%%-") .. "\n(.*)"):gmatch("[^\n]+") do
    if is_told(line) then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n")
end

return plans
