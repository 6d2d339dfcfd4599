-- The soak run's steps that go wrong, each as the contract says: bad input, conflicts, what is not there, closed
-- handles, functions that raise, coroutines that nobody resumes, locks, connections that break.
local convstore = require "convstore"

local errors = {}

function errors.bad_values(world)
  local chat, user = world:chat()
  local fails = world.fails
  fails("invalid", chat:append("nobody", "x"))
  fails("invalid", chat:append("user", "a\0b"))
  fails("invalid", chat:append("user", "x", { metadata = { f = print } }))
  fails("invalid", chat:append("tool", "without a call"))
  fails("invalid", chat:append_many({ { role = "user", content = "fine" },
    { role = "user", metadata = { 0 / 0 } } }))
  fails("invalid", chat:update({ title = ("x"):rep(3000) }))
  fails("invalid", chat:history({ limit = 0 }))
  fails("invalid", user:list({ cursor = "garbage" }))
  fails("invalid", user:get("no uuid"))
  fails("invalid", convstore.iso8601(math.maxinteger))
  local deep = {}
  deep[1] = deep
  fails("invalid", chat:append("user", "x", { metadata = { deep = deep } }))
end

function errors.too_large(world)
  local chat = world:full_chat()
  world.fails("too_large", chat:append("user", ("x"):rep((1 << 20) + 1)))
  world.fails("too_large", chat:append("user", "x", { metadata = { ("x"):rep(1 << 20) } }))
  assert(chat:append("user", ("y"):rep(400)))
  world.fails("too_large", chat:context({ max_tokens = 2 }))
  assert(chat:redact(chat.last_seq))
end

function errors.mistakes(world)
  local chat, user = world:chat()
  local raises = world.raises
  raises("bad argument", chat.append, chat, {}, {})
  raises("unknown", chat.append, chat, "user", "x", { colour = 1 })
  raises("bad argument", chat.history, chat, 5)
  raises("bad argument", user.search, user)
  raises("bad argument", chat.append_many, user, {})
  raises("bad argument", world.main.user, world.main, {})
  raises("cannot be assigned", function() chat.title = "x" end)
  raises("bad argument", convstore.open, ":memory:", { colour = 1 })
end

function errors.conflicts(world)
  local chat, user = world:chat()
  local id = convstore.uuid()
  assert(chat:append("user", "first", { id = id }))
  world.fails("conflict", chat:append("user", "second", { id = id }))
  world.fails("conflict", chat:append("user", "x", { expect = chat.last_seq + 1 }))
  world.fails("conflict", chat:append_many({ { role = "user", content = "first", id = id },
    { role = "user", content = "new" } }))
  world.fails("conflict", user:create({ key = chat.key }))
  world.fails("conflict", chat:fork({ key = chat.key }))
end

function errors.not_found(world)
  local chat, user = world:chat()
  local missing = world.missing_id()
  world.fails("not_found", user:get(missing))
  world.fails("not_found", chat:message(missing))
  world.fails("not_found", chat:message(1 << 40))
  world.fails("not_found", chat:redact(1 << 40))
  world.fails("not_found", user:search("x", { conversation_id = missing }))
  local gone = assert(user:create())
  assert(gone:purge())
  world.fails("not_found", gone:append("user", "x"))
  world.fails("not_found", gone:history())
  world.raises("not_found", function() gone:each()() end)
end

function errors.closed_handles(world)
  local chat, user = world:chat(world.other)
  assert(chat:close() and user:close())
  world.raises("conversation is closed", chat.append, chat, "user", "x")
  world.raises("user is closed", user.list, user)
  local store = assert(convstore.open(":memory:"))
  local orphan = assert(store:user("a"):conversation("k"))
  local iterate = orphan:each()
  assert(store:close() and store:close())
  world.raises("closed", orphan.history, orphan)
  world.raises("closed", iterate)
  world.raises("closed", store.transaction, store, print)
end

function errors.raise_in_count_tokens(world)
  local store <close> = assert(convstore.open(world.dsn, { timeout = 60, count_tokens = function(message)
    if message.name then error({ a = "table" }) end
    return "no number"
  end }))
  local chat = world:chat(store)
  local ok, thrown = pcall(chat.append, chat, "user", "x", { name = "n" })
  assert(not ok and type(thrown) == "table")
  assert(not pcall(chat.append, chat, "user", "x"))
end

function errors.raise_in_log(world)
  local store <close> = assert(convstore.open(world.dsn, { timeout = 60, slow_ms = 0, log = function()
    error("the log is broken")
  end }))
  assert(world:chat(store):append("user", "heard all the same"))
end

function errors.raise_in_a_transaction(world)
  local chat = world:chat(world.other)
  local before = chat.last_seq
  world.raises("on purpose", world.other.transaction, world.other, function()
    assert(chat:append("user", "never"))
    world.raises("inner", world.other.transaction, world.other, function()
      assert(chat:append("user", "never either"))
      error("inner")
    end)
    error("on purpose")
  end)
  assert(chat:refresh().last_seq == before)
end

function errors.give_up_a_transaction(world)
  local chat = world:chat()
  world.fails("because", world.main:transaction(function()
    assert(chat:append("user", "never"))
    world.fails("not_found", chat:message(1 << 40))
    return nil, "no", "because"
  end))
end

function errors.close_a_coroutine(world)
  local chat = world:chat(world.other)
  local co = coroutine.create(function()
    return world.other:transaction(function()
      assert(chat:append("user", "never"))
      coroutine.yield()
    end)
  end)
  assert(coroutine.resume(co))
  world.fails("busy", chat:append("user", "from outside"))
  assert(coroutine.close(co))
  assert(chat:append("user", "afterwards"))
end

function errors.abandon_a_coroutine(world)
  local chat = world:chat(world.other)
  do
    local co = coroutine.wrap(function()
      return world.other:transaction(function()
        assert(chat:append("user", "never"))
        for _ in chat:each() do coroutine.yield() end
      end)
    end)
    co()
  end
  collectgarbage()
  collectgarbage()
  assert(chat:append("user", "afterwards"))
end

function errors.close_the_store_in_a_transaction(world)
  local store = world:open_other()
  local chat = world:chat(store)
  pcall(store.transaction, store, function()
    assert(chat:append("user", "never"))
    store:close()
    return true
  end)
  assert(tostring(store):find("closed", 1, true))
end

-- Somebody else is in the middle of a transaction on the same row.
function errors.busy(world)
  local chat, user = world:chat()
  local impatient = world.hasty:user(user.id)
  assert(world.main:transaction(function()
    assert(chat:append("user", "first"))
    world.fails("busy timeout unavailable", impatient:create({ key = chat.key }))
    local same, _, code = impatient:get(chat.id)
    if same then
      world.fails("busy timeout unavailable", same:append("user", "second"))
    else
      assert(code == "timeout" or code == "unavailable", code)
    end
    return true
  end))
end

function errors.lost_connections(world)
  local chat = world:chat()
  world:lose_connections()
  assert(chat:append("user", "over a new connection"))
  assert(world:chat(world.other):history())
end

function errors.lost_connections_in_a_transaction(world)
  if world.backend ~= "postgres" then return end
  local chat = world:chat()
  local done, message, code = world.main:transaction(function()
    assert(chat:append("user", "never"))
    world:lose_connections()
    return chat:append("user", "never either")
  end)
  assert(done == nil and code == "unavailable", message)
  assert(chat:refresh())
end

function errors.cannot_open(world)
  local fails = world.fails
  fails("not_found unavailable denied invalid full corrupt",
    convstore.open(world.folder .. "/no such folder/x.db"))
  fails("corrupt", convstore.open(world.no_database))
  fails("unavailable", convstore.open("postgresql://postgres@127.0.0.1:1/none", { timeout = 0.05 }))
  fails("invalid", convstore.open("postgresql://[half"))
  if world.backend == "postgres" then
    local dsn = world.dsn
    fails("denied", convstore.open((dsn:gsub("//[^@]*@", "//nobody_of_that_name@", 1)), { timeout = 5 }))
    fails("denied", convstore.open((dsn:gsub("/[^/?]*$", "/no_database", 1)), { timeout = 5 }))
  else
    local store <close> = assert(convstore.open(world.dsn, { readonly = true }))
    fails("readonly", store:user("a"):create())
  end
end

function errors.other_users_ids(world)
  local chat = world:full_chat()
  local stranger = world.main:user("stranger")
  world.fails("not_found", stranger:get(chat.id))
  world.fails("not_found", stranger:search("jam", { conversation_id = chat.id }))
  assert(#assert(stranger:search("jam")) == 0)
end

return errors
