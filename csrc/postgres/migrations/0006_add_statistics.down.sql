-- What ANALYZE has counted for the planner stays: it is not part of the schema.
DROP STATISTICS {{schema}}.messages_conversation_stats;
DROP STATISTICS {{schema}}.messages_archive_conversation_stats;
