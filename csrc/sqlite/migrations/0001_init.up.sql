-- The tables of convstore in an SQLite file, beside whatever else a bot keeps there.
-- Written for a reader with the sqlite3 shell: ids and JSON are text, times are milliseconds since 1970-01-01 UTC.
-- {{user_id_type}} and {{user_id_references}} are filled in when the schema is first created (option "users").
-- Tables have a rowid: WITHOUT ROWID was slower on append (3,088 against 4,074 a second) and made larger files.

CREATE TABLE convstore_settings ( -- how this schema was made: one row
  id INTEGER NOT NULL,
  users TEXT,                     -- "TABLE(COLUMN)" that user_id refers to, or NULL
  user_id_type TEXT NOT NULL,     -- 'text', 'uuid' or 'bigint'
  CONSTRAINT convstore_settings_pkey PRIMARY KEY (id),
  CONSTRAINT convstore_settings_id_check CHECK (id = 1),
  CONSTRAINT convstore_settings_user_id_type_check CHECK (user_id_type IN ('text', 'uuid', 'bigint'))
) STRICT;

CREATE TABLE convstore_conversations ( -- one row each; messages refer to it
  user_id {{user_id_type}} NOT NULL{{user_id_references}},
  id TEXT NOT NULL,               -- UUID, unique per user: nobody can probe for another's
  key TEXT,                       -- the bot's own name for it, unique per user among those not deleted
  title TEXT,
  status TEXT NOT NULL DEFAULT 'active', -- the application's mark
  metadata TEXT,                  -- JSON
  last_seq INTEGER NOT NULL DEFAULT 0,   -- number of messages: seq has no gaps
  token_count INTEGER NOT NULL DEFAULT 0, -- tokens of all messages
  pinned_token_count INTEGER NOT NULL DEFAULT 0, -- those of system and developer messages
  forked_from_id TEXT,            -- the conversation this one was copied from; it may be gone
  forked_from_seq INTEGER,        -- the last message copied
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,    -- the last write, by the store's clock
  deleted_at INTEGER,             -- soft-deleted since
  archived_at INTEGER,            -- NULL: the messages lie in convstore_messages, else in convstore_messages_archive
  CONSTRAINT convstore_conversations_pkey PRIMARY KEY (user_id, id),
  CONSTRAINT convstore_conversations_user_id_check CHECK (length(CAST(user_id AS BLOB)) BETWEEN 1 AND 255),
  CONSTRAINT convstore_conversations_id_check CHECK (length(id) = 36),
  CONSTRAINT convstore_conversations_key_check CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 255),
  CONSTRAINT convstore_conversations_title_check CHECK (length(CAST(title AS BLOB)) <= 2048),
  CONSTRAINT convstore_conversations_status_check CHECK (status IN ('active', 'archived', 'closed')),
  CONSTRAINT convstore_conversations_metadata_check CHECK (
    metadata IS NULL OR (json_valid(metadata) AND length(CAST(metadata AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_conversations_last_seq_check CHECK (last_seq >= 0),
  CONSTRAINT convstore_conversations_token_count_check CHECK (
    token_count >= pinned_token_count AND pinned_token_count >= 0),
  CONSTRAINT convstore_conversations_forked_from_check CHECK (
    (forked_from_id IS NULL) = (forked_from_seq IS NULL))
) STRICT;

CREATE UNIQUE INDEX convstore_conversations_user_id_key_key
  ON convstore_conversations (user_id, key) WHERE deleted_at IS NULL;
-- A user's conversations, newest first. It moves with every append; without it a list would grow with the user.
CREATE INDEX convstore_conversations_user_id_updated_at_idx
  ON convstore_conversations (user_id, updated_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX convstore_conversations_user_id_created_at_idx
  ON convstore_conversations (user_id, created_at DESC, id DESC);
-- For purge and archive over all users.
CREATE INDEX convstore_conversations_deleted_at_idx
  ON convstore_conversations (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX convstore_conversations_updated_at_idx
  ON convstore_conversations (updated_at);

CREATE TABLE convstore_messages ( -- the composite foreign key makes one in another user's conversation impossible
  user_id {{user_id_type}} NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,           -- 1, 2, 3 ... in the conversation
  id TEXT NOT NULL,               -- UUID, unique per conversation: what makes a retry harmless
  role TEXT NOT NULL,
  content TEXT,                   -- the text, or NULL
  parts TEXT,                     -- JSON array of content parts, or NULL
  name TEXT,                      -- who speaks
  tool_calls TEXT,                -- JSON array
  tool_call_id TEXT,              -- the call that a tool message answers
  attachments TEXT,               -- JSON array
  metadata TEXT,                  -- JSON
  token_count INTEGER NOT NULL,
  token_total INTEGER NOT NULL,   -- tokens of this and all earlier messages but system and developer ones
  created_at INTEGER NOT NULL,
  updated_at INTEGER,             -- last annotated
  redacted_at INTEGER,            -- emptied since
  CONSTRAINT convstore_messages_pkey PRIMARY KEY (user_id, conversation_id, seq),
  CONSTRAINT convstore_messages_id_key UNIQUE (user_id, conversation_id, id),
  CONSTRAINT convstore_messages_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES convstore_conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_messages_seq_check CHECK (seq >= 1),
  CONSTRAINT convstore_messages_id_check CHECK (length(id) = 36),
  CONSTRAINT convstore_messages_role_check CHECK (role IN ('user', 'assistant', 'system', 'developer', 'tool')),
  CONSTRAINT convstore_messages_content_check CHECK (
    (content IS NULL OR parts IS NULL) AND length(CAST(content AS BLOB)) <= 16777216),
  CONSTRAINT convstore_messages_parts_check CHECK (
    parts IS NULL OR (json_valid(parts) AND length(CAST(parts AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_messages_name_check CHECK (length(CAST(name AS BLOB)) <= 2048),
  CONSTRAINT convstore_messages_tool_calls_check CHECK (
    tool_calls IS NULL OR (json_valid(tool_calls) AND length(CAST(tool_calls AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_messages_tool_call_id_check CHECK (
    (role <> 'tool' OR tool_call_id IS NOT NULL) AND length(CAST(tool_call_id AS BLOB)) <= 65536),
  CONSTRAINT convstore_messages_attachments_check CHECK (
    attachments IS NULL OR (json_valid(attachments) AND length(CAST(attachments AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_messages_metadata_check CHECK (
    metadata IS NULL OR (json_valid(metadata) AND length(CAST(metadata AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_messages_something_check CHECK (
    coalesce(content, parts, tool_calls, attachments, redacted_at) IS NOT NULL),
  CONSTRAINT convstore_messages_token_count_check CHECK (token_count BETWEEN 0 AND 2147483647),
  CONSTRAINT convstore_messages_token_total_check CHECK (token_total >= 0)
) STRICT;

-- A user's newest messages and usage by day; role and token_count ride along so that usage reads the index alone.
CREATE INDEX convstore_messages_user_id_created_at_idx
  ON convstore_messages (user_id, created_at DESC, id DESC, role, token_count);
-- What every context begins with.
CREATE INDEX convstore_messages_pinned_idx
  ON convstore_messages (user_id, conversation_id, seq) WHERE role IN ('system', 'developer');

-- Rows come here whole from convstore_messages, whose CHECKs they have passed.
CREATE TABLE convstore_messages_archive ( -- the same, of conversations with an archived_at
  user_id {{user_id_type}} NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  role TEXT NOT NULL,
  content TEXT,
  parts TEXT,
  name TEXT,
  tool_calls TEXT,
  tool_call_id TEXT,
  attachments TEXT,
  metadata TEXT,
  token_count INTEGER NOT NULL,
  token_total INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER,
  redacted_at INTEGER,
  CONSTRAINT convstore_messages_archive_pkey PRIMARY KEY (user_id, conversation_id, seq),
  CONSTRAINT convstore_messages_archive_id_key UNIQUE (user_id, conversation_id, id),
  CONSTRAINT convstore_messages_archive_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES convstore_conversations (user_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX convstore_messages_archive_user_id_created_at_idx
  ON convstore_messages_archive (user_id, created_at DESC, id DESC, role, token_count);
CREATE INDEX convstore_messages_archive_pinned_idx
  ON convstore_messages_archive (user_id, conversation_id, seq) WHERE role IN ('system', 'developer');

CREATE TABLE convstore_summaries ( -- stands in a context for messages 1 ... through; takes no seq of the history
  user_id {{user_id_type}} NOT NULL,
  conversation_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,       -- 1, 2, 3 ... in the conversation; the highest is the latest
  through INTEGER NOT NULL,
  content TEXT NOT NULL,
  metadata TEXT,                  -- JSON
  token_count INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  CONSTRAINT convstore_summaries_pkey PRIMARY KEY (user_id, conversation_id, ordinal),
  CONSTRAINT convstore_summaries_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES convstore_conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_summaries_ordinal_check CHECK (ordinal >= 1),
  CONSTRAINT convstore_summaries_through_check CHECK (through >= 1),
  CONSTRAINT convstore_summaries_content_check CHECK (length(CAST(content AS BLOB)) <= 16777216),
  CONSTRAINT convstore_summaries_metadata_check CHECK (
    metadata IS NULL OR (json_valid(metadata) AND length(CAST(metadata AS BLOB)) <= 16777216)),
  CONSTRAINT convstore_summaries_token_count_check CHECK (token_count BETWEEN 0 AND 2147483647)
) STRICT;
