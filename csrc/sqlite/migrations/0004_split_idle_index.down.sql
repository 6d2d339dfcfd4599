-- Makes the index what 0001_init.up.sql made it.
DROP INDEX convstore_conversations_archived_updated_at_idx;
DROP INDEX convstore_conversations_updated_at_idx;
CREATE INDEX convstore_conversations_updated_at_idx
  ON convstore_conversations (updated_at);
