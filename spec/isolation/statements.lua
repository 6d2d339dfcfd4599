-- Raw SQL of somebody who has the role convstore_user and another user's ids: what to try at psql. The statements hold
-- placeholders in braces, which raw.lua fills in. Two lists: answers that must not depend on whether the other is
-- there, and those that may (plans, places of rows), in which only nothing of the other's must stand.
local statements = {}

local TABLES = { "conversations", "messages", "messages_archive", "summaries", "search_segments",
  "search_runs", "search_postings" }
statements.TABLES = TABLES

-- Functions of the schema, which see what their caller sees. raw.lua compares both lists with the schema.
statements.FUNCTIONS = { "json_limited", "json_merge_patch" }

local equal, silent = {}, {}
statements.equal, statements.silent = equal, silent

local function add(list, ...)
  for _, sql in ipairs({ ... }) do list[#list + 1] = sql end
end

for _, name in ipairs(TABLES) do
  local t = "convstore." .. name
  add(equal,
    ("SELECT count(*), min(user_id::text), max(user_id::text) FROM %s"):format(t),
    ("SELECT * FROM %s WHERE user_id::text = '{victim}'"):format(t),
    ("SELECT * FROM %s WHERE user_id::text <> '{me}' OR user_id IS NULL"):format(t),
    ("SELECT count(*) FROM (SELECT * FROM %s UNION ALL TABLE %s) AS u WHERE user_id::text = '{victim}'")
      :format(t, t),
    ("WITH w AS MATERIALIZED (SELECT * FROM %s) SELECT * FROM w WHERE user_id::text = '{victim}'"):format(t),
    ("COPY (SELECT * FROM %s WHERE user_id::text <> '{me}') TO STDOUT"):format(t),
    ("UPDATE %s SET user_id = user_id WHERE user_id::text <> '{me}' RETURNING *"):format(t),
    ("UPDATE %s SET user_id = '{me}' WHERE user_id::text = '{victim}' RETURNING *"):format(t),
    ("DELETE FROM %s WHERE user_id::text = '{victim}' RETURNING *"):format(t),
    ("DELETE FROM %s AS d USING convstore.conversations AS c WHERE c.user_id <> d.user_id RETURNING *")
      :format(t),
    ("SELECT * FROM %s WHERE user_id::text = '{victim}' FOR UPDATE"):format(t),
    ("MERGE INTO %s AS m USING (SELECT '{victim}' AS u) AS s ON m.user_id::text = s.u"
      .. " WHEN MATCHED THEN DELETE"):format(t),
    ("SELECT query_to_xml('SELECT * FROM %s WHERE user_id::text <> ''{me}''', true, true, '')"):format(t),
    ("TRUNCATE %s CASCADE"):format(t),
    ("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE"):format(t),
    ("ALTER TABLE %s DISABLE ROW LEVEL SECURITY"):format(t),
    ("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY"):format(t),
    ("CREATE POLICY p ON %s USING (true)"):format(t),
    ("DROP POLICY %s_user ON %s"):format(name, t),
    ("CREATE RULE r AS ON SELECT TO %s DO ALSO SELECT 1"):format(t),
    ("CREATE INDEX ON %s (user_id)"):format(t),
    ("COMMENT ON TABLE %s IS 'mine'"):format(t),
    ("GRANT ALL ON %s TO PUBLIC"):format(t),
    ("ANALYZE %s"):format(t),
    ("COPY %s FROM STDIN;\n\\."):format(t))
  add(silent,
    ("TABLE %s"):format(t),
    ("COPY %s TO STDOUT"):format(t),
    ("SELECT * FROM %s TABLESAMPLE SYSTEM (100)"):format(t),
    ("SELECT ctid, xmin, t::text FROM %s AS t WHERE ctid < '(100,1)'"):format(t),
    ("SELECT md5(t::text), t FROM %s AS t"):format(t),
    ("SELECT table_to_xml('%s', true, true, '')"):format(t),
    ("EXPLAIN (ANALYZE, VERBOSE, TIMING off) SELECT * FROM %s WHERE user_id::text = '{victim}'"):format(t),
    ("SELECT * FROM %s WHERE pg_temp.leak(user_id::text)"):format(t),
    ("SELECT * FROM %s AS t WHERE pg_temp.leak(t::text)"):format(t),
    ("SELECT * FROM %s AS t WHERE t::text OPERATOR(pg_temp.===) 'x'"):format(t),
    ("SELECT * FROM %s AS t WHERE 1 / (CASE WHEN t::text LIKE '%%{mark}%%' THEN 0 ELSE 1 END) = 1"):format(t),
    ("SELECT * FROM %s AS t WHERE CAST(t::text AS integer) = 1"):format(t),
    ("CREATE TEMP TABLE loot_%s AS SELECT * FROM %s; SELECT * FROM loot_%s"):format(name, t, name),
    ("CREATE TEMP VIEW seen_%s AS SELECT * FROM %s; SELECT * FROM seen_%s"):format(name, t, name),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM %s; FETCH ALL c"):format(t),
    ("SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = '%s'"):format(name),
    ("SELECT stavalues1, stavalues2 FROM pg_statistic WHERE starelid = '%s'::regclass"):format(t))
end

-- Ids and keys of the other's that somebody probes by constraints: taken or not, the answer must be one.
for _, user in ipairs({ "{me}", "{victim}" }) do
  local conversation = ("INSERT INTO convstore.conversations (user_id, id, key, created_at, updated_at)"
    .. " VALUES ('%s', '{conversation}', '{key}', now(), now())"):format(user)
  local message = ("INSERT INTO convstore.messages (user_id, conversation_id, seq, id, role, content,"
    .. " token_count, token_total, created_at)"
    .. " VALUES ('%s', '{conversation}', 1, '{message}', 'user', 'mine', 1, 1, now())"):format(user)
  add(equal, conversation, conversation .. " RETURNING user_id, id, key, last_seq",
    conversation .. " ON CONFLICT DO NOTHING RETURNING *",
    conversation .. " ON CONFLICT (user_id, id) DO UPDATE SET key = EXCLUDED.key"
      .. " RETURNING conversations.last_seq",
    conversation .. " ON CONFLICT (user_id, id) DO UPDATE SET title = conversations.title || '!'"
      .. " RETURNING title",
    conversation .. " ON CONFLICT (user_id, key) WHERE deleted_at IS NULL"
      .. " DO UPDATE SET title = 'mine' RETURNING title",
    conversation .. "; " .. message .. " RETURNING content",
    message, message .. " ON CONFLICT DO NOTHING RETURNING *",
    message .. " ON CONFLICT (user_id, conversation_id, seq) DO UPDATE SET role = 'user'"
      .. " RETURNING messages.content",
    ("INSERT INTO convstore.summaries (user_id, conversation_id, ordinal, through, content, token_count,"
      .. " created_at) VALUES ('%s', '{conversation}', 1, 1, 'mine', 1, now())"):format(user),
    ("INSERT INTO convstore.search_runs (user_id, conversation_id, first_seq, last_seq, segment_id)"
      .. " VALUES ('%s', '{conversation}', 1, 1, 1)"):format(user),
    ("INSERT INTO convstore.search_postings (user_id, segment_id, bucket, postings)"
      .. " VALUES ('%s', 1, 1, '')"):format(user))
end

add(equal,
  "SELECT c.title, m.content FROM convstore.conversations AS c JOIN convstore.messages AS m"
    .. " ON m.user_id <> c.user_id",
  "SELECT (SELECT content FROM convstore.messages WHERE id = '{message}')",
  "SELECT EXISTS (SELECT FROM convstore.conversations WHERE id = '{conversation}')",
  "SELECT title FROM convstore.conversations WHERE id = '{conversation}' OR key = '{key}'",
  "SELECT content FROM convstore.messages WHERE content LIKE '%{mark}%'",
  "SELECT content FROM convstore.messages WHERE id = '{message}' OR conversation_id = '{conversation}'",
  "UPDATE convstore.messages SET conversation_id = '{conversation}'",
  "UPDATE convstore.conversations SET id = '{conversation}' RETURNING id, title",
  "UPDATE convstore.conversations SET forked_from_id = '{conversation}', forked_from_seq = 1"
    .. " RETURNING forked_from_id",
  "UPDATE convstore.messages AS m SET content = o.content FROM convstore.messages AS o"
    .. " WHERE o.id = '{message}' RETURNING m.content",
  "DELETE FROM convstore.conversations WHERE id = '{conversation}' RETURNING *",
  "SELECT convstore.json_merge_patch('{}', (SELECT metadata FROM convstore.messages WHERE id = '{message}'))",
  "SELECT convstore.json_limited((SELECT metadata FROM convstore.messages WHERE id = '{message}'), 1)",
  "SELECT nextval(pg_get_serial_sequence('convstore.search_segments', 'id'))",
  "SELECT last_value FROM convstore.search_segments_id_seq",
  "CREATE FUNCTION convstore.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
  "CREATE OR REPLACE FUNCTION convstore.json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb"
    .. " LANGUAGE sql AS 'SELECT NULL::jsonb'",
  "CREATE TABLE convstore.t (i integer)",
  "INSERT INTO convstore.settings (id, user_id_type, schema_created) VALUES (2, 'text', true)",
  "UPDATE convstore.settings SET jwt_claim = NULL",
  "DELETE FROM convstore.migrations",
  "DROP SCHEMA convstore CASCADE",
  "SET LOCAL row_security = off; SELECT count(*) FROM convstore.messages",
  "SELECT set_config('row_security', 'off', true); SELECT count(*) FROM convstore.messages",
  "SET LOCAL ROLE convstore_operator; SELECT content FROM convstore.messages",
  "SET LOCAL ROLE postgres; SELECT content FROM convstore.messages",
  "SET SESSION AUTHORIZATION postgres; SELECT content FROM convstore.messages",
  "ALTER TABLE convstore.messages OWNER TO convstore_user",
  "CREATE TRIGGER t BEFORE INSERT ON convstore.messages FOR EACH ROW EXECUTE FUNCTION pg_temp.leak()",
  "CREATE VIEW public.seen AS SELECT * FROM convstore.messages",
  "SELECT pg_read_file('global/pg_control')",
  "COPY (SELECT 1) TO PROGRAM 'true'",
  "ALTER ROLE convstore_user BYPASSRLS",
  "CREATE ROLE another SUPERUSER",
  "SELECT lo_import('/etc/hostname')")

add(silent,
  "SELECT * FROM convstore.settings",
  "SELECT * FROM convstore.migrations",
  "SELECT schema_to_xml('convstore', true, true, '')",
  "SELECT n.nspname, p.proname, p.prosrc FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
    .. " WHERE n.nspname = 'convstore'",
  "SELECT * FROM pg_stats_ext",
  "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
  "SELECT * FROM pg_prepared_statements; SELECT * FROM pg_cursors")

return statements
