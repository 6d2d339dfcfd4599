-- Says of each conversation how far it is archived, so that a long one is moved in parts while it is read: every
-- message lies in one table, and its seq tells which. archived_at now only says that the whole of it was archived.
ALTER TABLE {{schema}}.conversations ADD COLUMN archived_seq bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN {{schema}}.conversations.archived_seq IS 'Messages 1 ... archived_seq lie in messages_archive';
COMMENT ON COLUMN {{schema}}.conversations.archived_at IS 'All of it was archived then, and nothing was appended since';
-- The owner, who runs this, is to see the rows of all users.
ALTER TABLE {{schema}}.conversations NO FORCE ROW LEVEL SECURITY;
UPDATE {{schema}}.conversations SET archived_seq = last_seq WHERE archived_at IS NOT NULL;
ALTER TABLE {{schema}}.conversations FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.conversations ADD CONSTRAINT conversations_archived_seq_check
  CHECK (archived_seq BETWEEN 0 AND last_seq) NOT VALID;
ALTER TABLE {{schema}}.conversations VALIDATE CONSTRAINT conversations_archived_seq_check;
