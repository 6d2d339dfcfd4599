-- Brings back what lies in both tables: without 0005_add_archived_seq.up.sql a conversation has one.
ALTER TABLE {{schema}}.conversations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.messages NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.messages_archive NO FORCE ROW LEVEL SECURITY;
WITH c AS (
  UPDATE {{schema}}.conversations SET archived_at = NULL
  WHERE archived_seq > 0 AND (archived_seq < last_seq OR archived_at IS NULL) RETURNING user_id, id),
moved AS (
  DELETE FROM {{schema}}.messages_archive AS t USING c
  WHERE t.user_id = c.user_id AND t.conversation_id = c.id RETURNING t.*)
INSERT INTO {{schema}}.messages (user_id, conversation_id, seq, id, role, content, parts, name, tool_calls, tool_call_id,
  attachments, metadata, token_count, token_total, created_at, updated_at, redacted_at)
  SELECT user_id, conversation_id, seq, id, role, content, parts, name, tool_calls, tool_call_id, attachments, metadata,
    token_count, token_total, created_at, updated_at, redacted_at FROM moved;
ALTER TABLE {{schema}}.messages_archive FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.messages FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.conversations FORCE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.conversations DROP COLUMN archived_seq;
COMMENT ON COLUMN {{schema}}.conversations.archived_at IS 'NULL: the messages lie in messages, else in messages_archive';
