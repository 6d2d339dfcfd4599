-- Removes what 0001_init.up.sql made; children first. The roles stay: they belong to the whole cluster.
DROP TABLE {{schema}}.summaries;
DROP TABLE {{schema}}.messages_archive;
DROP TABLE {{schema}}.messages;
DROP TABLE {{schema}}.conversations;
DROP TABLE {{schema}}.settings;
DROP FUNCTION {{schema}}.json_limited(jsonb, bigint);
DROP FUNCTION {{schema}}.json_merge_patch(jsonb, jsonb);
DO $grants$
DECLARE
  granted text;
BEGIN
  FOR granted IN
    SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({{role_text}}, {{operator_role_text}})
  LOOP
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %I', {{schema_text}}, granted);
  END LOOP;
END
$grants$;
