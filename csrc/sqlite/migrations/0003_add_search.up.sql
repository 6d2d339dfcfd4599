-- The search index. It is made of the messages by the searches of their user, in segments of some hundred messages, and
-- can be made anew at any time: deleting a segment makes its messages ones that are not indexed yet.
-- An append writes nothing here. What no run covers is not indexed; searches read it as it is.

ALTER TABLE convstore_conversations ADD COLUMN -- 1: some of its messages may not be in the search index yet
  search_pending INTEGER NOT NULL DEFAULT 1
  CONSTRAINT convstore_conversations_search_pending_check CHECK (search_pending IN (0, 1));
CREATE INDEX convstore_conversations_search_pending_idx
  ON convstore_conversations (user_id, id) WHERE search_pending = 1;

CREATE TABLE convstore_search_segments ( -- some messages of a user, of one or more conversations
  user_id {{user_id_type}} NOT NULL,
  id INTEGER NOT NULL,
  conversation_id TEXT NOT NULL,  -- the first one in it: with its last conversation a user's index goes, too
  n_messages INTEGER NOT NULL,
  messages BLOB NOT NULL,         -- where each is found, its role, length and time; see core/segment.h
  CONSTRAINT convstore_search_segments_pkey PRIMARY KEY (user_id, id),
  CONSTRAINT convstore_search_segments_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES convstore_conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_search_segments_n_messages_check CHECK (n_messages >= 1)
) STRICT;
CREATE INDEX convstore_search_segments_conversation_id_idx
  ON convstore_search_segments (user_id, conversation_id);

CREATE TABLE convstore_search_runs ( -- messages first_seq ... last_seq of a conversation are in a segment
  user_id {{user_id_type}} NOT NULL,
  conversation_id TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  segment_id INTEGER NOT NULL,
  CONSTRAINT convstore_search_runs_pkey PRIMARY KEY (user_id, conversation_id, first_seq),
  CONSTRAINT convstore_search_runs_conversation_id_fkey FOREIGN KEY (user_id, conversation_id)
    REFERENCES convstore_conversations (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_search_runs_segment_id_fkey FOREIGN KEY (user_id, segment_id)
    REFERENCES convstore_search_segments (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_search_runs_last_seq_check CHECK (first_seq >= 1 AND last_seq >= first_seq)
) STRICT;
CREATE INDEX convstore_search_runs_segment_id_idx
  ON convstore_search_runs (user_id, segment_id);

CREATE TABLE convstore_search_postings ( -- which of a segment's messages hold the terms of a bucket, and where
  user_id {{user_id_type}} NOT NULL,
  segment_id INTEGER NOT NULL,
  bucket INTEGER NOT NULL,        -- the hash of its terms
  postings BLOB NOT NULL,         -- see core/segment.h
  CONSTRAINT convstore_search_postings_pkey PRIMARY KEY (user_id, segment_id, bucket),
  CONSTRAINT convstore_search_postings_segment_id_fkey FOREIGN KEY (user_id, segment_id)
    REFERENCES convstore_search_segments (user_id, id) ON DELETE CASCADE,
  CONSTRAINT convstore_search_postings_bucket_check CHECK (bucket >= 0)
) STRICT;
