-- Makes the indexes what 0001_init.up.sql made them.
DROP INDEX convstore_conversations_user_id_deleted_idx;
DROP INDEX convstore_messages_user_id_created_at_idx;
CREATE INDEX convstore_messages_user_id_created_at_idx
  ON convstore_messages (user_id, created_at DESC, id DESC, role, token_count);
DROP INDEX convstore_messages_archive_user_id_created_at_idx;
CREATE INDEX convstore_messages_archive_user_id_created_at_idx
  ON convstore_messages_archive (user_id, created_at DESC, id DESC, role, token_count);
