-- The tables of convstore in a PostgreSQL database, in a schema of their own. The same tables and columns as in SQLite.
-- What stands in double braces is filled in: schema is a quoted name, schema_text and the roles' are string literals,
-- role_required is false where no transaction takes on a role. What depends on the options "users" and "jwt_claim" is
-- fixed when the schema is first created.
-- Names and keys compare by bytes (COLLATE "C"): faster, and an upgrade of the system's locales breaks no index.

-- The two roles belong to the whole cluster, so that they are there already is normal. Neither can log in.
DO $roles$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT * FROM (VALUES ({{role_text}}, {{role_required}}), ({{operator_role_text}}, {{role_required}})) AS w (name, required)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', wanted.name);
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL; -- somebody who sets up another database was faster
        WHEN insufficient_privilege THEN
          IF wanted.required THEN
            RAISE insufficient_privilege USING MESSAGE = format(
              'the login %I may not create the roles that row-level security needs; let an administrator run'
              ' "CREATE ROLE %I NOLOGIN; CREATE ROLE %I NOLOGIN" and "GRANT %I, %I TO %I"', current_user,
              {{role_text}}, {{operator_role_text}}, {{role_text}}, {{operator_role_text}}, current_user);
          END IF;
      END;
    END IF;
    -- On some versions who creates a role is no member of it, on others a member who may not take it on.
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name)
        AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
      BEGIN
        EXECUTE format('GRANT %I TO %I', wanted.name, current_user);
      EXCEPTION
        WHEN insufficient_privilege THEN
          IF wanted.required AND wanted.name = {{role_text}} AND NOT pg_has_role(current_user, wanted.name, 'MEMBER') THEN
            RAISE insufficient_privilege USING MESSAGE = format(
              'the login %I is no member of the role %I; let an administrator run "GRANT %I TO %I"', current_user,
              wanted.name, wanted.name, current_user);
          END IF;
      END;
    END IF;
  END LOOP;
END
$roles$;

CREATE TABLE {{schema}}.settings (
  id integer NOT NULL,
  users text,
  user_id_type text NOT NULL,
  jwt_claim text,
  schema_created boolean NOT NULL,
  CONSTRAINT settings_pkey PRIMARY KEY (id),
  CONSTRAINT settings_id_check CHECK (id = 1),
  CONSTRAINT settings_user_id_type_check CHECK (user_id_type IN ('text', 'uuid', 'bigint'))
);
COMMENT ON TABLE {{schema}}.settings IS 'How this schema was made: one row';
COMMENT ON COLUMN {{schema}}.settings.id IS 'Always 1';
COMMENT ON COLUMN {{schema}}.settings.users IS '"TABLE(COLUMN)" that user_id refers to, or NULL';
COMMENT ON COLUMN {{schema}}.settings.user_id_type IS 'text, uuid or bigint';
COMMENT ON COLUMN {{schema}}.settings.jwt_claim IS 'The claim that the policies take the user from; NULL: the setting convstore.user_id';
COMMENT ON COLUMN {{schema}}.settings.schema_created IS 'The schema itself is convstore''s, to be dropped with it';

CREATE TABLE {{schema}}.conversations (
  user_id {{user_id_type}} NOT NULL{{user_id_references}},
  id uuid NOT NULL,
  key text COLLATE "C",
  title text,
  status text NOT NULL DEFAULT 'active',
  metadata jsonb,
  last_seq bigint NOT NULL DEFAULT 0,
  token_count bigint NOT NULL DEFAULT 0,
  pinned_token_count bigint NOT NULL DEFAULT 0,
  forked_from_id uuid,
  forked_from_seq bigint,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz,
  archived_at timestamptz,
  CONSTRAINT conversations_pkey PRIMARY KEY (user_id, id),
  CONSTRAINT conversations_user_id_check CHECK (octet_length(user_id::text) BETWEEN 1 AND 255),
  CONSTRAINT conversations_key_check CHECK (octet_length(key) BETWEEN 1 AND 255),
  CONSTRAINT conversations_title_check CHECK (octet_length(title) <= 2048),
  CONSTRAINT conversations_status_check CHECK (status IN ('active', 'archived', 'closed')),
  -- jsonb prints a space behind each comma and colon: compact it has two thirds of that at least.
  CONSTRAINT conversations_metadata_check CHECK (octet_length(metadata::text) <= 25165824),
  CONSTRAINT conversations_last_seq_check CHECK (last_seq >= 0),
  CONSTRAINT conversations_token_count_check CHECK (token_count >= pinned_token_count AND pinned_token_count >= 0),
  CONSTRAINT conversations_forked_from_check CHECK ((forked_from_id IS NULL) = (forked_from_seq IS NULL))
);
COMMENT ON TABLE {{schema}}.conversations IS 'One row each; messages refer to it';
COMMENT ON COLUMN {{schema}}.conversations.user_id IS 'Whose it is';
COMMENT ON COLUMN {{schema}}.conversations.id IS 'Unique per user: nobody can probe for another''s';
COMMENT ON COLUMN {{schema}}.conversations.key IS 'The bot''s own name for it, unique per user among those not deleted';
COMMENT ON COLUMN {{schema}}.conversations.title IS 'At most 2,048 bytes';
COMMENT ON COLUMN {{schema}}.conversations.status IS 'The application''s mark: active, archived or closed';
COMMENT ON COLUMN {{schema}}.conversations.metadata IS 'The application''s own';
COMMENT ON COLUMN {{schema}}.conversations.last_seq IS 'Number of messages: seq has no gaps';
COMMENT ON COLUMN {{schema}}.conversations.token_count IS 'Tokens of all messages';
COMMENT ON COLUMN {{schema}}.conversations.pinned_token_count IS 'Tokens of system and developer messages';
COMMENT ON COLUMN {{schema}}.conversations.forked_from_id IS 'The conversation this one was copied from; it may be gone';
COMMENT ON COLUMN {{schema}}.conversations.forked_from_seq IS 'The last message copied';
COMMENT ON COLUMN {{schema}}.conversations.created_at IS 'To the millisecond, as all times';
COMMENT ON COLUMN {{schema}}.conversations.updated_at IS 'The last write, by the store''s clock';
COMMENT ON COLUMN {{schema}}.conversations.deleted_at IS 'Soft-deleted since';
COMMENT ON COLUMN {{schema}}.conversations.archived_at IS 'NULL: the messages lie in messages, else in messages_archive';

CREATE UNIQUE INDEX conversations_user_id_key_key ON {{schema}}.conversations (user_id, key) WHERE deleted_at IS NULL;
-- A user's conversations, newest first. It moves with every append, which is therefore never HOT and 18 % slower with 8
-- clients; without it a list would grow with the user.
CREATE INDEX conversations_user_id_updated_at_idx ON {{schema}}.conversations (user_id, updated_at DESC, id DESC)
  WHERE deleted_at IS NULL;
CREATE INDEX conversations_user_id_created_at_idx ON {{schema}}.conversations (user_id, created_at DESC, id DESC);
-- For purge and archive over all users.
CREATE INDEX conversations_deleted_at_idx ON {{schema}}.conversations (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX conversations_updated_at_idx ON {{schema}}.conversations (updated_at);

CREATE TABLE {{schema}}.messages (
  user_id {{user_id_type}} NOT NULL,
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  id uuid NOT NULL,
  role text NOT NULL,
  content text,
  parts jsonb,
  name text,
  tool_calls jsonb,
  tool_call_id text,
  attachments jsonb,
  metadata jsonb,
  token_count integer NOT NULL,
  token_total bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  redacted_at timestamptz,
  CONSTRAINT messages_pkey PRIMARY KEY (user_id, conversation_id, seq),
  CONSTRAINT messages_id_key UNIQUE (user_id, conversation_id, id),
  -- Composite: a message in another user's conversation is impossible.
  CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES {{schema}}.conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT messages_seq_check CHECK (seq >= 1),
  CONSTRAINT messages_role_check CHECK (role IN ('user', 'assistant', 'system', 'developer', 'tool')),
  CONSTRAINT messages_content_check CHECK ((content IS NULL OR parts IS NULL) AND octet_length(content) <= 16777216),
  CONSTRAINT messages_parts_check CHECK (octet_length(parts::text) <= 25165824),
  CONSTRAINT messages_name_check CHECK (octet_length(name) <= 2048),
  CONSTRAINT messages_tool_calls_check CHECK (octet_length(tool_calls::text) <= 25165824),
  CONSTRAINT messages_tool_call_id_check CHECK (
    (role <> 'tool' OR tool_call_id IS NOT NULL) AND octet_length(tool_call_id) <= 65536),
  CONSTRAINT messages_attachments_check CHECK (octet_length(attachments::text) <= 25165824),
  CONSTRAINT messages_metadata_check CHECK (octet_length(metadata::text) <= 25165824),
  CONSTRAINT messages_something_check CHECK (
    content IS NOT NULL OR parts IS NOT NULL OR tool_calls IS NOT NULL OR attachments IS NOT NULL
    OR redacted_at IS NOT NULL),
  CONSTRAINT messages_token_count_check CHECK (token_count >= 0),
  CONSTRAINT messages_token_total_check CHECK (token_total >= 0)
);
COMMENT ON TABLE {{schema}}.messages IS 'What was said, of conversations without an archived_at';
COMMENT ON COLUMN {{schema}}.messages.user_id IS 'Whose it is';
COMMENT ON COLUMN {{schema}}.messages.conversation_id IS 'Where it was said';
COMMENT ON COLUMN {{schema}}.messages.seq IS '1, 2, 3 ... in the conversation';
COMMENT ON COLUMN {{schema}}.messages.id IS 'Unique per conversation: what makes a retry harmless';
COMMENT ON COLUMN {{schema}}.messages.role IS 'user, assistant, system, developer or tool';
COMMENT ON COLUMN {{schema}}.messages.content IS 'The text, or NULL';
COMMENT ON COLUMN {{schema}}.messages.parts IS 'Array of content parts, or NULL';
COMMENT ON COLUMN {{schema}}.messages.name IS 'Who speaks';
COMMENT ON COLUMN {{schema}}.messages.tool_calls IS 'Array of calls';
COMMENT ON COLUMN {{schema}}.messages.tool_call_id IS 'The call that a tool message answers';
COMMENT ON COLUMN {{schema}}.messages.attachments IS 'Array of attachments';
COMMENT ON COLUMN {{schema}}.messages.metadata IS 'The application''s own';
COMMENT ON COLUMN {{schema}}.messages.token_count IS 'Tokens of this message';
COMMENT ON COLUMN {{schema}}.messages.token_total IS 'Tokens of this and all earlier messages but system and developer ones';
COMMENT ON COLUMN {{schema}}.messages.created_at IS 'When it was said';
COMMENT ON COLUMN {{schema}}.messages.updated_at IS 'Last annotated';
COMMENT ON COLUMN {{schema}}.messages.redacted_at IS 'Emptied since';

-- A user's newest messages and usage by day; role and token_count ride along so that usage reads the index alone.
CREATE INDEX messages_user_id_created_at_idx ON {{schema}}.messages (user_id, created_at DESC, id DESC)
  INCLUDE (role, token_count);
-- What every context begins with.
CREATE INDEX messages_pinned_idx ON {{schema}}.messages (user_id, conversation_id, seq)
  WHERE role IN ('system', 'developer');

-- Rows come here whole from messages, whose CHECKs they have passed.
CREATE TABLE {{schema}}.messages_archive (
  user_id {{user_id_type}} NOT NULL,
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  id uuid NOT NULL,
  role text NOT NULL,
  content text,
  parts jsonb,
  name text,
  tool_calls jsonb,
  tool_call_id text,
  attachments jsonb,
  metadata jsonb,
  token_count integer NOT NULL,
  token_total bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  redacted_at timestamptz,
  CONSTRAINT messages_archive_pkey PRIMARY KEY (user_id, conversation_id, seq),
  CONSTRAINT messages_archive_id_key UNIQUE (user_id, conversation_id, id),
  CONSTRAINT messages_archive_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES {{schema}}.conversations (user_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE {{schema}}.messages_archive IS 'The same, of conversations with an archived_at';
COMMENT ON COLUMN {{schema}}.messages_archive.user_id IS 'Whose it is';
COMMENT ON COLUMN {{schema}}.messages_archive.conversation_id IS 'Where it was said';
COMMENT ON COLUMN {{schema}}.messages_archive.seq IS '1, 2, 3 ... in the conversation';
COMMENT ON COLUMN {{schema}}.messages_archive.id IS 'Unique per conversation: what makes a retry harmless';
COMMENT ON COLUMN {{schema}}.messages_archive.role IS 'user, assistant, system, developer or tool';
COMMENT ON COLUMN {{schema}}.messages_archive.content IS 'The text, or NULL';
COMMENT ON COLUMN {{schema}}.messages_archive.parts IS 'Array of content parts, or NULL';
COMMENT ON COLUMN {{schema}}.messages_archive.name IS 'Who speaks';
COMMENT ON COLUMN {{schema}}.messages_archive.tool_calls IS 'Array of calls';
COMMENT ON COLUMN {{schema}}.messages_archive.tool_call_id IS 'The call that a tool message answers';
COMMENT ON COLUMN {{schema}}.messages_archive.attachments IS 'Array of attachments';
COMMENT ON COLUMN {{schema}}.messages_archive.metadata IS 'The application''s own';
COMMENT ON COLUMN {{schema}}.messages_archive.token_count IS 'Tokens of this message';
COMMENT ON COLUMN {{schema}}.messages_archive.token_total IS 'Tokens of this and all earlier messages but system and developer ones';
COMMENT ON COLUMN {{schema}}.messages_archive.created_at IS 'When it was said';
COMMENT ON COLUMN {{schema}}.messages_archive.updated_at IS 'Last annotated';
COMMENT ON COLUMN {{schema}}.messages_archive.redacted_at IS 'Emptied since';

CREATE INDEX messages_archive_user_id_created_at_idx ON {{schema}}.messages_archive (user_id, created_at DESC, id DESC)
  INCLUDE (role, token_count);
CREATE INDEX messages_archive_pinned_idx ON {{schema}}.messages_archive (user_id, conversation_id, seq)
  WHERE role IN ('system', 'developer');

CREATE TABLE {{schema}}.summaries (
  user_id {{user_id_type}} NOT NULL,
  conversation_id uuid NOT NULL,
  ordinal bigint NOT NULL,
  through bigint NOT NULL,
  content text NOT NULL,
  metadata jsonb,
  token_count integer NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT summaries_pkey PRIMARY KEY (user_id, conversation_id, ordinal),
  CONSTRAINT summaries_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES {{schema}}.conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT summaries_ordinal_check CHECK (ordinal >= 1),
  CONSTRAINT summaries_through_check CHECK (through >= 1),
  CONSTRAINT summaries_content_check CHECK (octet_length(content) <= 16777216),
  CONSTRAINT summaries_metadata_check CHECK (octet_length(metadata::text) <= 25165824),
  CONSTRAINT summaries_token_count_check CHECK (token_count >= 0)
);
COMMENT ON TABLE {{schema}}.summaries IS 'Stand in a context for messages 1 ... through; take no seq of the history';
COMMENT ON COLUMN {{schema}}.summaries.user_id IS 'Whose it is';
COMMENT ON COLUMN {{schema}}.summaries.conversation_id IS 'What it sums up';
COMMENT ON COLUMN {{schema}}.summaries.ordinal IS '1, 2, 3 ... in the conversation; the highest is the latest';
COMMENT ON COLUMN {{schema}}.summaries.through IS 'The seq of the last message that it stands for';
COMMENT ON COLUMN {{schema}}.summaries.content IS 'The text';
COMMENT ON COLUMN {{schema}}.summaries.metadata IS 'The application''s own';
COMMENT ON COLUMN {{schema}}.summaries.token_count IS 'Tokens of the text';
COMMENT ON COLUMN {{schema}}.summaries.created_at IS 'When it was made';

-- The merge of RFC 7396, which PostgreSQL lacks: || is shallow and keeps nulls.
CREATE FUNCTION {{schema}}.json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
  SELECT CASE
    WHEN jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN patch
    ELSE coalesce((
      SELECT jsonb_object_agg(merged.key, merged.value)
        FROM (
          SELECT kept.key, kept.value
            FROM jsonb_each(CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END) AS kept
           WHERE NOT patch ? kept.key
          UNION ALL
          SELECT given.key, {{schema}}.json_merge_patch(target -> given.key, given.value)
            FROM jsonb_each(patch) AS given
           WHERE jsonb_typeof(given.value) <> 'null') AS merged), '{}')
  END
$function$;
COMMENT ON FUNCTION {{schema}}.json_merge_patch(jsonb, jsonb) IS 'RFC 7396: what target becomes by patch';

-- Refuses what a merge made too large, so that the merge needs no second look: jsonb prints a space behind each comma and
-- colon, which do not count. They are counted only where it matters.
CREATE FUNCTION {{schema}}.json_limited(value jsonb, max_bytes bigint) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
  size bigint := octet_length(value::text);
BEGIN
  IF size > max_bytes THEN
    size := size - (
      SELECT coalesce(sum(greatest(CASE jsonb_typeof(part)
               WHEN 'array' THEN jsonb_array_length(part) - 1
               WHEN 'object' THEN 2 * (SELECT count(*) FROM jsonb_object_keys(part)) - 1
             END, 0)), 0)
        FROM jsonb_path_query(value, 'strict $.**') AS part);
    IF size > max_bytes THEN
      RAISE program_limit_exceeded USING MESSAGE = format(
        'metadata has %s bytes when merged; at most %s are allowed', size, max_bytes);
    END IF;
  END IF;
  RETURN value;
END
$function$;
COMMENT ON FUNCTION {{schema}}.json_limited(jsonb, bigint) IS 'The value, if its compact text has at most so many bytes';

-- Row-level security: a second net below the "user_id =" of every statement. FORCE binds the owner too.
ALTER TABLE {{schema}}.conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.conversations FORCE ROW LEVEL SECURITY;
CREATE POLICY conversations_user ON {{schema}}.conversations
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});
ALTER TABLE {{schema}}.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.messages FORCE ROW LEVEL SECURITY;
CREATE POLICY messages_user ON {{schema}}.messages
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});
ALTER TABLE {{schema}}.messages_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.messages_archive FORCE ROW LEVEL SECURITY;
CREATE POLICY messages_archive_user ON {{schema}}.messages_archive
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});
ALTER TABLE {{schema}}.summaries ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.summaries FORCE ROW LEVEL SECURITY;
CREATE POLICY summaries_user ON {{schema}}.summaries
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});

-- What the roles may do. The operators' policy also binds logins that inherit from the role, hence its condition: only
-- who has taken the role on sees all users. A role that is missing is one that is not used (role = false).
DO $grants$
DECLARE
  granted text;
  secured text;
BEGIN
  FOR granted IN
    SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({{role_text}}, {{operator_role_text}})
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', {{schema_text}}, granted);
    EXECUTE format('GRANT SELECT ON %1$I.migrations, %1$I.settings TO %2$I', {{schema_text}}, granted);
    FOREACH secured IN ARRAY ARRAY['conversations', 'messages', 'messages_archive', 'summaries'] LOOP
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', {{schema_text}}, secured, granted);
      IF granted = {{operator_role_text}} THEN
        EXECUTE format('CREATE POLICY %I ON %I.%I TO %I USING (current_user = %L) WITH CHECK (current_user = %L)',
          secured || '_operator', {{schema_text}}, secured, granted, granted, granted);
      END IF;
    END LOOP;
  END LOOP;
END
$grants$;
