-- What somebody would write on a plain Lua binding for SQL, well: the same tables and columns, parameters wherever the
-- binding has them, one transaction for an append, one query for a list. What the bindings differ in comes from
-- luasql.lua and luadbi.lua, as a table `db`:
--   db.run(sql, ...)       runs a statement without rows
--   db.rows(sql, ...)      an iterator over rows, tables by column, and a function that ends it early
--   db.rows_at_once        how many rows one INSERT has in a batch
--   db.has_returning       whether rows() can run an UPDATE with RETURNING
--   db.number(value)       an integer out of a column
-- "?" stands for a parameter. {messages} and {conversations} are the tables, {ms:COLUMN} is a time as a number of
-- milliseconds.
local raw = {}

local COLUMNS = "seq, {id:id} AS id, role, content, parts, name, tool_calls, tool_call_id, attachments, "
  .. "metadata, token_count, {ms:created_at} AS created_at, {ms:updated_at} AS updated_at, "
  .. "{ms:redacted_at} AS redacted_at"
local WHERE = " FROM {messages} WHERE user_id = ? AND conversation_id = ?"
local PROMPT = "SELECT role, content, parts, name, tool_calls, tool_call_id, token_count" .. WHERE

local ADVANCED = "last_seq, token_count - pinned_token_count AS token_total, {ms:updated_at} AS created_at"

local SQL = {
  advance = "UPDATE {conversations} SET last_seq = last_seq + ?, token_count = token_count + ?, "
    .. "updated_at = {now} WHERE user_id = ? AND id = ? AND deleted_at IS NULL",
  returning = " RETURNING " .. ADVANCED,
  advanced = "SELECT " .. ADVANCED .. " FROM {conversations} WHERE user_id = ? AND id = ?",
  insert = "INSERT INTO {messages} (user_id, conversation_id, seq, id, role, content, token_count, "
    .. "token_total, created_at) VALUES ",
  values = "(?, ?, ?, ?, ?, ?, ?, ?, {from_ms:?})",
  newest = "SELECT " .. COLUMNS .. WHERE .. " ORDER BY seq DESC LIMIT ?",
  each = "SELECT " .. COLUMNS .. WHERE .. " ORDER BY seq",
  pinned = PROMPT .. " AND role IN ('system', 'developer') ORDER BY seq",
  window = PROMPT .. " AND role NOT IN ('system', 'developer') ORDER BY seq DESC LIMIT 200",
  list = "SELECT {id:c.id} AS id, c.key, c.title, c.status, c.metadata, c.last_seq, c.token_count, "
    .. "{ms:c.created_at} AS created_at, {ms:c.updated_at} AS updated_at, m.role AS last_role, "
    .. "substr(m.content, 1, 200) AS last_preview, {ms:m.created_at} AS last_created_at "
    .. "FROM {conversations} AS c LEFT JOIN {messages} AS m ON m.user_id = c.user_id "
    .. "AND m.conversation_id = c.id AND m.seq = c.last_seq WHERE c.user_id = ? AND c.deleted_at IS NULL "
    .. "ORDER BY c.updated_at DESC, c.id DESC LIMIT ?",
  search = "SELECT " .. COLUMNS .. ", {id:conversation_id} AS conversation_id FROM {messages} AS m "
    .. "WHERE user_id = ? AND content {like} ? AND NOT EXISTS (SELECT 1 FROM {conversations} AS c "
    .. "WHERE c.user_id = m.user_id AND c.id = m.conversation_id AND c.deleted_at IS NOT NULL) "
    .. "ORDER BY created_at DESC LIMIT ?",
}

-- LuaDBI cuts SQLite's integers, and PostgreSQL's bigints, to 32 bits, so times are asked for as floats.
local DIALECTS = {
  sqlite = { messages = "convstore_messages", conversations = "convstore_conversations",
    now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", like = "LIKE", id = "%s",
    ms = "%s * 1.0", from_ms = "%s" },
  postgres = { now = "date_trunc('milliseconds', clock_timestamp())", like = "ILIKE", id = "%s::text",
    ms = "round(extract(epoch FROM %s) * 1000)::float8", from_ms = "to_timestamp(%s::float8 / 1000)" },
}

local function render(sql, kind, schema)
  local dialect = DIALECTS[kind]
  local function of_column(name, column) return (dialect[name]:format(column)) end
  local function named(name) return dialect[name] or schema .. "." .. name end
  return (sql:gsub("{([%w_]+):([^}]*)}", of_column):gsub("{([%w_]+)}", named))
end

local function uuid()
  return ("%08x-%04x-4%03x-%04x-%012x"):format(math.random(0, 0xFFFFFFFF), math.random(0, 0xFFFF),
    math.random(0, 0xFFF), math.random(0x8000, 0xBFFF), math.random(0, 0xFFFFFFFFFFFF))
end

-- Rows come newest first; messages are wanted oldest first.
local function reverse(rows)
  for i = 1, #rows // 2 do rows[i], rows[#rows + 1 - i] = rows[#rows + 1 - i], rows[i] end
  return rows
end

local function tokens_of(text) return (#text + 3) // 4 end

function raw.api(db, kind, schema)
  local sql, inserts = {}, {}
  for name, text in pairs(SQL) do sql[name] = render(text, kind, schema) end
  for _, n in ipairs{ 1, db.rows_at_once } do
    inserts[n] = sql.insert .. sql.values .. (", " .. sql.values):rep(n - 1)
  end
  local begin, number = kind == "sqlite" and "BEGIN IMMEDIATE" or "BEGIN", db.number

  local function in_transaction(work, ...)
    db.run(begin)
    local good, result = pcall(work, ...)
    db.run(good and "COMMIT" or "ROLLBACK")
    return good and result or error(result, 0)
  end

  local function advance(user_id, id, n, tokens)
    local next_row, close
    if db.has_returning then
      next_row, close = db.rows(sql.advance .. sql.returning, n, tokens, user_id, id)
    else
      db.run(sql.advance, n, tokens, user_id, id)
      next_row, close = db.rows(sql.advanced, user_id, id)
    end
    local row = assert(next_row(), "no such conversation")
    close()
    return row
  end

  local function to_message(row, conversation_id)
    row.seq, row.token_count = number(row.seq), number(row.token_count)
    row.created_at = number(row.created_at)
    if row.updated_at then row.updated_at = number(row.updated_at) end
    if row.redacted_at then row.redacted_at = number(row.redacted_at) end
    row.conversation_id = row.conversation_id or conversation_id
    return row
  end

  local api = {}

  function api.conversation(user_id, id)
    local chat = {}

    local function append_many(messages)
      local tokens = 0
      for _, message in ipairs(messages) do tokens = tokens + tokens_of(message.content) end
      local before = advance(user_id, id, #messages, tokens)
      local seq, total = number(before.last_seq) - #messages, number(before.token_total) - tokens
      local now, stored, values = number(before.created_at), {}, {}
      for i, message in ipairs(messages) do
        local count = tokens_of(message.content)
        total = total + count
        stored[i] = { seq = seq + i, id = uuid(), conversation_id = id, role = message.role,
          content = message.content, token_count = count, created_at = now }
        local row = { user_id, id, seq + i, stored[i].id, message.role, message.content, count, total, now }
        table.move(row, 1, #row, #values + 1, values)
        if #values == 9 * db.rows_at_once or #messages < db.rows_at_once then
          db.run(inserts[#values // 9], table.unpack(values))
          values = {}
        end
      end
      assert(#values == 0, "batches are multiples")
      return stored
    end

    function chat.append(role, content)
      return in_transaction(append_many, { { role = role, content = content } })[1]
    end

    function chat.append_many(messages) return in_transaction(append_many, messages) end

    function chat.newest(n)
      local messages = {}
      for row in db.rows(sql.newest, user_id, id, n) do messages[#messages + 1] = to_message(row, id) end
      return reverse(messages)
    end

    function chat.context(max_tokens)
      local messages, newest, tokens = {}, {}, 0
      for row in db.rows(sql.pinned, user_id, id) do
        tokens, row.token_count = tokens + number(row.token_count), nil
        messages[#messages + 1] = row
      end
      local next_row, close = db.rows(sql.window, user_id, id)
      for row in next_row do
        tokens, row.token_count = tokens + number(row.token_count), nil
        if tokens > max_tokens then
          close()
          break
        end
        newest[#newest + 1] = row
      end
      return table.move(reverse(newest), 1, #newest, #messages + 1, messages)
    end

    function chat.list(n)
      local list = {}
      for row in db.rows(sql.list, user_id, n) do
        row.last_seq, row.token_count = number(row.last_seq), number(row.token_count)
        row.created_at, row.updated_at = number(row.created_at), number(row.updated_at)
        row.last_message = { role = row.last_role, preview = row.last_preview,
          created_at = number(row.last_created_at) }
        row.last_role, row.last_preview, row.last_created_at = nil, nil, nil
        list[#list + 1] = row
      end
      return list
    end

    function chat.search(word, n)
      local found = {}
      for row in db.rows(sql.search, user_id, "%" .. word .. "%", n) do
        found[#found + 1] = to_message(row)
      end
      return found
    end

    function chat.each()
      local next_row = db.rows(sql.each, user_id, id)
      return function()
        local row = next_row()
        if row then return true, number(row.seq) end
      end
    end

    return chat
  end

  return api
end

return raw
