-- Removes what 0003_add_search.up.sql made; children first.
DROP TABLE convstore_search_postings;
DROP TABLE convstore_search_runs;
DROP TABLE convstore_search_segments;
DROP INDEX convstore_conversations_search_pending_idx;
ALTER TABLE convstore_conversations DROP COLUMN search_pending;
