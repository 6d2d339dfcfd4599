-- Rows changed beside the library, by plain SQL: times that its clock would not give, and messages in the archive.
local rows = {}

local function time(database, ms)
  return database.server_database and ("to_timestamp(%d / 1000.0)"):format(ms) or tostring(ms)
end

-- Makes `ms` the time of a conversation's last write.
function rows.set_updated_at(database, id, ms)
  database:sql(("UPDATE %s SET updated_at = %s WHERE id = '%s';"):format(database:table("conversations"),
    time(database, ms), id))
end

-- Makes `ms` the time since when a conversation is deleted.
function rows.set_deleted_at(database, id, ms)
  database:sql(("UPDATE %s SET deleted_at = %s WHERE id = '%s';"):format(database:table("conversations"),
    time(database, ms), id))
end

-- Moves a conversation's messages to the archive, as `archive` does it.
function rows.archive(database, id)
  local messages, archived = database:table("messages"), database:table("messages_archive")
  database:sql(([[
    BEGIN;
    INSERT INTO %s SELECT * FROM %s WHERE conversation_id = '%s';
    DELETE FROM %s WHERE conversation_id = '%s';
    UPDATE %s SET archived_at = updated_at WHERE id = '%s';
    COMMIT;]]):format(archived, messages, id, messages, id, database:table("conversations"), id))
end

return rows
