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

-- Moves a conversation's messages to the archive, as `archive` does it: all, or those up to `upto`, as if it had been
-- killed then.
function rows.archive(database, id, upto)
  local messages, archived = database:table("messages"), database:table("messages_archive")
  local where = ("WHERE conversation_id = '%s' AND seq <= %s"):format(id, upto or math.maxinteger)
  local now_archived = ("SELECT count(*) FROM %s WHERE conversation_id = '%s'"):format(archived, id)
  database:sql(([[
    BEGIN;
    INSERT INTO %s SELECT * FROM %s %s;
    DELETE FROM %s %s;
    UPDATE %s SET archived_seq = (%s), archived_at = CASE WHEN last_seq = (%s) THEN updated_at END
     WHERE id = '%s';
    COMMIT;]]):format(archived, messages, where, messages, where, database:table("conversations"),
    now_archived, now_archived, id))
end

return rows
