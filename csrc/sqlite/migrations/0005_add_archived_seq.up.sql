-- Says of each conversation how far it is archived, so that a long one is moved in parts while it is read: every
-- message lies in one table, and its seq tells which. archived_at now only says that the whole of it was archived.
ALTER TABLE convstore_conversations ADD COLUMN -- messages 1 ... archived_seq lie in convstore_messages_archive
  archived_seq INTEGER NOT NULL DEFAULT 0
  CONSTRAINT convstore_conversations_archived_seq_check CHECK (archived_seq BETWEEN 0 AND last_seq);
UPDATE convstore_conversations SET archived_seq = last_seq WHERE archived_at IS NOT NULL;
