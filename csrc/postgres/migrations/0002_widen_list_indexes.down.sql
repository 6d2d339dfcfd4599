-- Makes the indexes what 0001_init.up.sql made them.
DROP INDEX {{schema}}.conversations_user_id_deleted_idx;
DROP INDEX {{schema}}.messages_user_id_created_at_idx;
CREATE INDEX messages_user_id_created_at_idx ON {{schema}}.messages (user_id, created_at DESC, id DESC)
  INCLUDE (role, token_count);
DROP INDEX {{schema}}.messages_archive_user_id_created_at_idx;
CREATE INDEX messages_archive_user_id_created_at_idx ON {{schema}}.messages_archive (user_id, created_at DESC, id DESC)
  INCLUDE (role, token_count);
