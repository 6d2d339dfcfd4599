-- Tells the planner that a conversation has one user. Otherwise it takes the two for independent, expects about one row for
-- both together wherever there are many users, and holds the index on ids, read through the whole conversation, for as
-- good as the primary key's that finds one message by its seq: beside 40 other users, one message of 50,000 took 22 ms
-- instead of 1, and a search 480 ms instead of 12, on a busy machine.
CREATE STATISTICS {{schema}}.messages_conversation_stats (dependencies)
  ON user_id, conversation_id FROM {{schema}}.messages;
CREATE STATISTICS {{schema}}.messages_archive_conversation_stats (dependencies)
  ON user_id, conversation_id FROM {{schema}}.messages_archive;

-- What is there already is counted now. Empty tables are left as they are: counted, they would be planned as empty ones.
DO $analyze$
DECLARE
  counted text;
BEGIN
  FOREACH counted IN ARRAY ARRAY['messages', 'messages_archive'] LOOP
    IF pg_relation_size(format('%I.%I', {{schema_text}}, counted)::regclass) > 0 THEN
      EXECUTE format('ANALYZE %I.%I (user_id, conversation_id)', {{schema_text}}, counted);
    END IF;
  END LOOP;
END
$analyze$;
