-- What lies idle, apart by where its messages lie: `archive` would walk over all that it has archived before. An append
-- still writes to one of the two.
DROP INDEX convstore_conversations_updated_at_idx;
CREATE INDEX convstore_conversations_updated_at_idx
  ON convstore_conversations (updated_at) WHERE archived_at IS NULL;
CREATE INDEX convstore_conversations_archived_updated_at_idx
  ON convstore_conversations (updated_at) WHERE archived_at IS NOT NULL;
