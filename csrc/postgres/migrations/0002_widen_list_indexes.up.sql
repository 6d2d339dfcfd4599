-- Indexes for what goes over all conversations of a user, page by page.

-- A fork's messages keep their ids and times, so only the conversation tells copies apart: with it in the key the newest
-- messages of a user have one order, and pages never repeat one. Usage by conversation reads the index alone.
DROP INDEX {{schema}}.messages_user_id_created_at_idx;
CREATE INDEX messages_user_id_created_at_idx
  ON {{schema}}.messages (user_id, created_at DESC, id DESC, conversation_id DESC) INCLUDE (role, token_count);
DROP INDEX {{schema}}.messages_archive_user_id_created_at_idx;
CREATE INDEX messages_archive_user_id_created_at_idx
  ON {{schema}}.messages_archive (user_id, created_at DESC, id DESC, conversation_id DESC) INCLUDE (role, token_count);

-- A user's deleted conversations, newest first. Appends never touch it.
CREATE INDEX conversations_user_id_deleted_idx ON {{schema}}.conversations (user_id, updated_at DESC, id DESC)
  WHERE deleted_at IS NOT NULL;
