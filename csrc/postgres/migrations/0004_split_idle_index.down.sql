-- Makes the index what 0001_init.up.sql made it.
DROP INDEX {{schema}}.conversations_archived_updated_at_idx;
DROP INDEX {{schema}}.conversations_updated_at_idx;
CREATE INDEX conversations_updated_at_idx
  ON {{schema}}.conversations (updated_at);
