-- Removes what 0003_add_search.up.sql made; children first.
DROP TABLE {{schema}}.search_postings;
DROP TABLE {{schema}}.search_runs;
DROP TABLE {{schema}}.search_segments;
DROP INDEX {{schema}}.conversations_search_pending_idx;
ALTER TABLE {{schema}}.conversations DROP COLUMN search_pending;
