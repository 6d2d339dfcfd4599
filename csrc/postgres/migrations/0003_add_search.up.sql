-- The search index. It is made of the messages by the searches of their user, in segments of some hundred messages, and
-- can be made anew at any time: deleting a segment makes its messages ones that are not indexed yet.
-- An append writes nothing here. What no run covers is not indexed; searches read it as it is.

ALTER TABLE {{schema}}.conversations ADD COLUMN search_pending boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN {{schema}}.conversations.search_pending IS 'Some of its messages may not be in the search index yet';
CREATE INDEX conversations_search_pending_idx ON {{schema}}.conversations (user_id, id) WHERE search_pending;

CREATE TABLE {{schema}}.search_segments (
  user_id {{user_id_type}} NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  conversation_id uuid NOT NULL,
  n_messages bigint NOT NULL,
  messages bytea NOT NULL,
  CONSTRAINT search_segments_pkey PRIMARY KEY (user_id, id),
  CONSTRAINT search_segments_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES {{schema}}.conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT search_segments_n_messages_check CHECK (n_messages >= 1)
);
COMMENT ON TABLE {{schema}}.search_segments IS 'Some messages of a user, of one or more conversations';
COMMENT ON COLUMN {{schema}}.search_segments.user_id IS 'Whose they are';
COMMENT ON COLUMN {{schema}}.search_segments.id IS 'Unique per user';
COMMENT ON COLUMN {{schema}}.search_segments.conversation_id IS 'The first one in it: with its last conversation a user''s index goes, too';
COMMENT ON COLUMN {{schema}}.search_segments.n_messages IS 'How many';
COMMENT ON COLUMN {{schema}}.search_segments.messages IS 'Where each is found, its role, length and time; see core/segment.h';
CREATE INDEX search_segments_conversation_id_idx ON {{schema}}.search_segments (user_id, conversation_id);

CREATE TABLE {{schema}}.search_runs (
  user_id {{user_id_type}} NOT NULL,
  conversation_id uuid NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  segment_id bigint NOT NULL,
  CONSTRAINT search_runs_pkey PRIMARY KEY (user_id, conversation_id, first_seq),
  CONSTRAINT search_runs_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES {{schema}}.conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT search_runs_segment_id_fkey FOREIGN KEY (user_id, segment_id)
    REFERENCES {{schema}}.search_segments (user_id, id) ON DELETE CASCADE,
  CONSTRAINT search_runs_last_seq_check CHECK (first_seq >= 1 AND last_seq >= first_seq)
);
COMMENT ON TABLE {{schema}}.search_runs IS 'Messages first_seq ... last_seq of a conversation are in a segment';
COMMENT ON COLUMN {{schema}}.search_runs.user_id IS 'Whose they are';
COMMENT ON COLUMN {{schema}}.search_runs.conversation_id IS 'Where they were said';
COMMENT ON COLUMN {{schema}}.search_runs.first_seq IS 'The first message';
COMMENT ON COLUMN {{schema}}.search_runs.last_seq IS 'The last message';
COMMENT ON COLUMN {{schema}}.search_runs.segment_id IS 'The segment';
CREATE INDEX search_runs_segment_id_idx ON {{schema}}.search_runs (user_id, segment_id);

CREATE TABLE {{schema}}.search_postings (
  user_id {{user_id_type}} NOT NULL,
  segment_id bigint NOT NULL,
  bucket bigint NOT NULL,
  postings bytea NOT NULL,
  CONSTRAINT search_postings_pkey PRIMARY KEY (user_id, segment_id, bucket),
  CONSTRAINT search_postings_segment_id_fkey FOREIGN KEY (user_id, segment_id)
    REFERENCES {{schema}}.search_segments (user_id, id) ON DELETE CASCADE,
  CONSTRAINT search_postings_bucket_check CHECK (bucket >= 0)
);
COMMENT ON TABLE {{schema}}.search_postings IS 'Which of a segment''s messages hold the terms of a bucket, and where';
COMMENT ON COLUMN {{schema}}.search_postings.user_id IS 'Whose they are';
COMMENT ON COLUMN {{schema}}.search_postings.segment_id IS 'The segment';
COMMENT ON COLUMN {{schema}}.search_postings.bucket IS 'The hash of its terms';
COMMENT ON COLUMN {{schema}}.search_postings.postings IS 'See core/segment.h';

-- Policies and grants as 0001_init.up.sql gives them to the other tables.
ALTER TABLE {{schema}}.search_segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.search_segments FORCE ROW LEVEL SECURITY;
CREATE POLICY search_segments_user ON {{schema}}.search_segments
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});
ALTER TABLE {{schema}}.search_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.search_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY search_runs_user ON {{schema}}.search_runs
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});
ALTER TABLE {{schema}}.search_postings ENABLE ROW LEVEL SECURITY;
ALTER TABLE {{schema}}.search_postings FORCE ROW LEVEL SECURITY;
CREATE POLICY search_postings_user ON {{schema}}.search_postings
  USING (user_id = {{current_user_id}}) WITH CHECK (user_id = {{current_user_id}});

DO $grants$
DECLARE
  granted text;
  secured text;
BEGIN
  FOR granted IN
    SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({{role_text}}, {{operator_role_text}})
  LOOP
    FOREACH secured IN ARRAY ARRAY['search_segments', 'search_runs', 'search_postings'] LOOP
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', {{schema_text}}, secured, granted);
      IF granted = {{operator_role_text}} THEN
        EXECUTE format('CREATE POLICY %I ON %I.%I TO %I USING (current_user = %L) WITH CHECK (current_user = %L)',
          secured || '_operator', {{schema_text}}, secured, granted, granted, granted);
      END IF;
    END LOOP;
  END LOOP;
END
$grants$;
