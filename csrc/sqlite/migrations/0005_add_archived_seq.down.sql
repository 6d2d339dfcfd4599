-- Brings back what lies in both tables: without 0005_add_archived_seq.up.sql a conversation has one.
CREATE TEMPORARY TABLE convstore_parted AS SELECT user_id, id FROM main.convstore_conversations
  WHERE archived_seq > 0 AND (archived_seq < last_seq OR archived_at IS NULL);
INSERT INTO convstore_messages (user_id, conversation_id, seq, id, role, content, parts, name, tool_calls, tool_call_id,
  attachments, metadata, token_count, token_total, created_at, updated_at, redacted_at)
  SELECT user_id, conversation_id, seq, id, role, content, parts, name, tool_calls, tool_call_id, attachments, metadata,
    token_count, token_total, created_at, updated_at, redacted_at
  FROM convstore_messages_archive WHERE (user_id, conversation_id) IN (SELECT user_id, id FROM temp.convstore_parted);
DELETE FROM convstore_messages_archive
  WHERE (user_id, conversation_id) IN (SELECT user_id, id FROM temp.convstore_parted);
UPDATE convstore_conversations SET archived_at = NULL
  WHERE (user_id, id) IN (SELECT user_id, id FROM temp.convstore_parted);
DROP TABLE temp.convstore_parted;
ALTER TABLE convstore_conversations DROP COLUMN archived_seq;
