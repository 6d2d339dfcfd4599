-- The rows that the document shows: a short talk and a long one, written by the library, with ids and times of their
-- own choice so that they are always the same.
local example = {}

local NOON = 1767268800000 -- 2026-01-01 12:00 UTC

local function id(n)
  return ("019b7970-a400-7000-8000-%012x"):format(n)
end

-- The first conversation's id in SQL's quotes: the rows of the document are its.
example.conversation_id = "'" .. id(1) .. "'"

function example.write(store)
  local user = store:user("42")
  local chat = assert(user:create{ id = id(1), key = "telegram:1001", title = "Printer",
    metadata = { open = true }, created_at = NOON })
  local call = { id = "c1", type = "function", ["function"] = { name = "manual", arguments = '{"page":3}' } }
  local messages = {
    { role = "system", content = "You mend printers." },
    { role = "user", content = "It beeps.", name = "alice" },
    { role = "assistant", tool_calls = { call } },
    { role = "tool", content = "Page 3: paper jam", tool_call_id = "c1" },
    { role = "user", content = "my password is hunter2" },
    { role = "assistant", content = "Open the tray.", metadata = { model = "small" } },
  }
  for i, message in ipairs(messages) do
    message.id, message.created_at = id(16 + i), NOON + 1000 * i
  end
  assert(chat:append_many(messages))
  assert(chat:redact(5))
  assert(chat:annotate(6, { rating = 5 }))
  assert(chat:summarize("It beeps: a paper jam.", { through = 4 }))

  local long, lines = assert(user:create{ id = id(2), key = "import:7", created_at = NOON }), {}
  for i = 1, 300 do
    lines[i] = { role = i % 2 == 1 and "user" or "assistant", content = "line " .. i, id = id(4096 + i),
      created_at = NOON + 60000 + i }
  end
  assert(long:append_many(lines))
  assert(user:search("tray")) -- enough to be indexed
end

-- Times that the store's clock gave, made the same in every run; for SQLite.
example.fix_times = ([[
UPDATE convstore_conversations SET updated_at = NOON + 9000;
UPDATE convstore_messages SET updated_at = NOON + 8000 WHERE updated_at IS NOT NULL;
UPDATE convstore_messages SET redacted_at = NOON + 7000 WHERE redacted_at IS NOT NULL;
UPDATE convstore_summaries SET created_at = NOON + 9000;
UPDATE convstore_migrations SET applied_at = NOON;]]):gsub("NOON", tostring(NOON))

return example
