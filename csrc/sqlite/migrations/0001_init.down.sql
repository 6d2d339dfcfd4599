-- Removes what 0001_init.up.sql made; children first, since DROP TABLE honours foreign keys.
DROP TABLE convstore_summaries;
DROP TABLE convstore_messages_archive;
DROP TABLE convstore_messages;
DROP TABLE convstore_conversations;
DROP TABLE convstore_settings;
