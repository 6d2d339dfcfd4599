-- The soak run's steps that go well: together they call every method of every handle. Each is a function of the world
-- (world.lua) and checks what it gets, if only roughly: the specs know better, but not for so long.
local convstore = require "convstore"

local steps = {}

function steps.append(world)
  local chat = world:chat(world.random:pick({ world.main, world.other }))
  local text = "hello " .. world.random:text(50)
  local message = assert(chat:append("user", text, { metadata = { a = { 1, 2, 3 } } }))
  assert(chat.last_seq == message.seq)
end

function steps.append_a_tool_exchange(world)
  local chat = world:chat()
  assert(chat:append({ role = "assistant", tool_calls = convstore.array({ { id = "x", type = "function",
    ["function"] = { name = "f", arguments = "{}" } } }) }))
  assert(chat:append("tool", "done", { tool_call_id = "x" }))
end

function steps.append_many(world)
  local batch = {}
  for i = 1, world.random:int(0, 20) do
    batch[i] = { role = i % 2 == 1 and "user" or "assistant", content = world.random:text(30) }
  end
  assert(#assert(world:chat():append_many(batch)) == #batch)
end

function steps.replay(world)
  local chat = world:chat()
  local id = convstore.uuid()
  local first = assert(chat:append("user", "once", { id = id }))
  assert(assert(chat:append("user", "once", { id = id, expect = 0 })).seq == first.seq)
end

function steps.read_messages(world)
  local chat = world:full_chat()
  local message = assert(chat:message(world.random:int(1, chat.last_seq)))
  assert(assert(chat:message(message.id)).seq == message.seq)
end

function steps.history(world)
  local chat = world:full_chat()
  assert(#assert(chat:history()) == chat.last_seq)
  assert(#assert(chat:history({ limit = 3 })) == 3)
  assert(chat:history({ after = 2, before = 6, role = { "user", "tool" }, order = "desc" }))
end

function steps.each(world)
  local chat, n = world:full_chat(), 0
  for _ in chat:each() do n = n + 1 end
  assert(n == chat.last_seq)
end

function steps.leave_each_half_way(world)
  local chat = world:full_chat()
  for message in chat:each({ order = "desc" }) do
    if message.seq < chat.last_seq then break end
  end
  assert(chat:each()()).seq = 0
end

function steps.context(world)
  local chat = world:full_chat()
  assert(chat:context({ max_tokens = 100000, reserve = 10 }))
  assert(chat:context_json({ max_messages = 50 }))
  assert(chat:context({ max_tokens = 100000, format = "anthropic" }))
  assert(chat:context_json({ system = false, format = "anthropic" }))
end

function steps.summarize(world)
  local chat = world:full_chat()
  local through = world.random:int(1, chat.last_seq)
  assert(chat:summarize("they talked", { through = through, metadata = { by = "me" } }))
  assert(chat:context())
end

function steps.annotate(world)
  local chat = world:full_chat()
  local seq = world.random:int(1, chat.last_seq)
  assert(chat:annotate(seq, { rating = world.random:int(1, 5), gone = convstore.null }))
end

function steps.redact(world)
  local chat = world:full_chat()
  assert(assert(chat:redact(world.random:int(1, chat.last_seq))).redacted_at)
end

function steps.update(world)
  local chat = world:chat()
  assert(chat:update({ title = world.random:text(20), status = "closed",
    metadata = { a = 1, b = { c = {} } } }))
  assert(chat:update({ title = convstore.null, status = "active", metadata = { b = convstore.null },
    merge = true }))
  assert(chat:refresh().metadata.a == 1)
end

function steps.fork(world)
  local chat = world:full_chat()
  local fork = assert(chat:fork({ at = world.random:int(0, chat.last_seq), title = "branch" }))
  assert(fork.forked_from.id == chat.id)
  assert(fork:append("user", "otherwise"))
  assert(fork:delete())
end

function steps.delete_and_restore(world)
  local chat, user = world:chat()
  assert(chat:delete())
  world.fails("not_found", user:get(chat.id))
  assert(user:get(chat.id, { deleted = true }).deleted_at)
  assert(chat:restore())
end

function steps.create_and_purge(world)
  local _, user = world:chat()
  local chat = assert(user:create({ title = world.random:text(30), metadata = { n = 0.5 } }))
  assert(chat:append("user", "soon gone"))
  assert(user:create({ id = chat.id }).id == chat.id)
  assert(chat:purge())
end

function steps.list(world)
  local _, user = world:chat()
  local cursor
  repeat
    local page
    page, cursor = assert(user:list({ limit = 3, cursor = cursor, deleted = "any",
      order = "created" }))
    assert(#page <= 3)
  until not cursor
  assert(user:list({ status = "active" }))
end

function steps.leave_conversations_half_way(world)
  local user = world:user()
  for _ in user:conversations({ limit = 2 }) do
    if world.random:chance(50) then break end
  end
end

function steps.newest_messages(world)
  local _, user = world:full_chat()
  local page, cursor = user:messages({ limit = 5 })
  assert(page and cursor)
  assert(user:messages({ limit = 5, cursor = cursor }))
  assert(user:messages({ role = "user", since = 1, before = world.far }))
end

function steps.search(world)
  local _, user = world:full_chat()
  assert(user:search('"paper jam" -toner', { limit = 3 }))
  local _, cursor = assert(user:search("long", { limit = 1 }))
  if cursor then assert(user:search("long", { limit = 1, cursor = cursor })) end
end

function steps.usage(world)
  local user = world:user()
  assert(assert(user:usage()).messages)
  assert(user:usage({ by = "day" }))
  assert(user:usage({ by = "conversation", since = 1, before = world.far }))
end

function steps.erase(world)
  local user = world.main:user("short-lived")
  assert(assert(user:conversation("k")):append("user", "gone at once"))
  assert(assert(user:erase()).conversations == 1)
end

function steps.archive_and_bring_back(world)
  local archived = assert(world.main:archive({ idle_before = world.far, limit = 2 }))
  assert(archived.conversations <= 2)
  assert(world:full_chat():history())
  assert(world:chat():append("user", "back"))
end

function steps.purge(world)
  assert(world.main:purge({ deleted_before = world.far }))
  assert(world.main:purge({ idle_before = world.far, limit = 1 }))
end

function steps.look_after(world)
  local store = world.main
  local problems = assert(store:check())
  assert(#problems == 0, problems[1] and problems[1].detail)
  assert(assert(store:stats()).messages)
  local _, cursor = assert(store:users({ limit = 2 }))
  if cursor then assert(store:users({ limit = 2, cursor = cursor })) end
  assert(#assert(store:migrations()) == assert(store:schema_version()))
  assert(store:migrate())
end

function steps.backup(world)
  local path = world.folder .. "/backup.db"
  if world.backend == "postgres" then
    world.fails("unsupported", world.main:backup(path))
    return
  end
  assert(world.main:backup(path))
  local copy <close> = assert(convstore.open(path, { readonly = true }))
  assert(copy:stats())
  copy:close()
  world.remove_file(path)
end

function steps.migrate_down_and_up(world)
  local store
  if world.backend == "sqlite" then
    store = assert(convstore.open(":memory:"))
  elseif world.random:chance(10) then -- 50 times as long as the others
    store = assert(convstore.open(world.dsn, { schema = "another", migrate = true }))
  else
    return
  end
  assert(assert(store:user("a"):conversation("k")):append("user", "x"))
  assert(store:migrate(0))
  world.fails("schema", store:user("a"):conversation("k"))
  assert(store:migrate())
  assert(store:migrate(0))
  assert(store:close())
end

function steps.transaction(world)
  local chat, user = world:chat()
  local n = assert(world.main:transaction(function(added)
    assert(chat:append("user", added))
    assert(world.main:transaction(function()
      assert(user:conversation("key 1"))
      return true
    end))
    return assert(chat:append("assistant", added)).seq
  end, "in a transaction"))
  assert(n == chat.last_seq)
end

function steps.close_handles(world)
  local chat, user = world:chat()
  assert(user:close() and user:close() and chat:close())
  assert(tostring(chat):find("closed", 1, true))
  do
    local closing <close> = world:user()
    assert(closing.id)
  end
end

function steps.reopen(world)
  local user = world:user(world.other)
  assert(world.other:close())
  world.raises("store is closed", user.list, user)
  world.other = world:open_other()
end

-- Nobody closes it: the collector does. At once, since SQLite keeps a file's closed descriptors for its next
-- connections while another one is open, and so as many as were ever open together.
function steps.drop_a_store(world)
  do
    local store = world:open_other()
    local iterate = world:full_chat(store):each()
    assert(iterate())
  end
  collectgarbage()
end

function steps.open_and_close(world)
  local store = assert(convstore.open(world.random:pick(world.doors), { migrate = false }))
  if world.random:chance(50) then assert(store:schema_version()) end
  assert(store:close())
end

return steps
