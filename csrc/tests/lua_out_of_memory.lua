-- What test_lua_out_of_memory.c runs with each allocation failing in turn: cases that together call every function and
-- method of the module. Loaded anew for each run, as a function of
--   dsn      a database that is set up
--   options  for open
--   tag      part of names, so that runs on one database do not meet
-- It returns how to prepare a run (without faults), the cases, and which functions they must have called.
local dsn, options, tag = ...
local convstore = require "convstore"
local core = require "convstore.core"

-- The first value; what the world refuses is raised as a table, so that the judge can tell it from Lua's own error.
local function must(...)
  local value, message, code = ...
  if value == nil then error({ message = message, code = code }, 0) end
  return ...
end

local LONG = ("a long text, "):rep(200)
local KEYS = {} -- more than an encoder keeps on the stack
for i = 1, 40 do KEYS["key" .. i] = { i, i + 0.5, convstore.null, "value", { deep = true } } end
local CALLS = { { id = "c1", type = "function", ["function"] = { name = "f", arguments = '{"x":1}' } } }

-- What the cases are about; made once in a database that each run gets a copy of, in each run where they share one.
local function fill(env)
  must(env.chat:append("system", "Be brief."))
  for i = 1, 6 do must(env.chat:append(i % 2 == 1 and "user" or "assistant", "paper jam number " .. i)) end
  must(env.chat:append({ role = "assistant", tool_calls = CALLS }))
  must(env.chat:append({ role = "tool", tool_call_id = "c1", content = "42" }))
  local parts = { { type = "text", text = "look" }, { type = "image_url", image_url = { url = "u" } } }
  must(env.chat:append("user", parts,
    { name = "ann", metadata = KEYS, attachments = { { url = "https://example.org/a", size = 5 } } }))
  local other = must(env.user:create({ title = "another" }))
  must(other:append("user", LONG))
end

local function prepare()
  local env = {}
  env.store = must(convstore.open(dsn, options))
  env.user = env.store:user("alice" .. tag)
  env.chat = must(env.user:conversation("telegram:7", { title = "A title", metadata = { language = "en" } }))
  if env.chat.message_count == 0 then fill(env) end
  return env
end

local cases = {}
-- `alone`: it makes no sense in the database of the others' runs, or would disturb them.
local function case(name, run, alone)
  cases[#cases + 1] = { name = name, run = run, alone = alone }
end

case("module", function()
  must(convstore.uuid())
  must(convstore.iso8601(0))
  must(convstore.array({ 1, 2 }))
  core.terminal(0)
  core.now()
  core.exists("nothing")
  core.catch_interrupts()
  core.interrupted()
  core.await_input()
end)
case("require", function()
  package.loaded["convstore.core"], package.loaded.convstore = nil, nil
  must(require "convstore")
end)
case("open", function()
  local seen = 0
  local store <close> = must(convstore.open(dsn, { schema = options.schema, slow_ms = 0, timeout = 20,
    log = function() seen = seen + 1 end, count_tokens = function() return 1 end, users = options.users }))
  must(store:schema_version())
  must(store:user(7):create())
end)
case("handles", function(env)
  local user = env.user
  local texts = { tostring(env.store), tostring(user), tostring(env.chat), user.id, env.chat.id, env.chat.key,
    env.chat.user_id, env.chat.title, env.chat.status, env.chat.created_at, env.chat.message_count }
  must(env.chat.metadata)
  assert(#texts == 11)
  pcall(function() env.chat.title = "x" end)
  pcall(function() env.user.id = "x" end)
  pcall(function() env.store.x = "x" end)
  local closed <close> = env.store:user("bob" .. tag)
  closed:close()
  local other <close> = must(env.user:get(env.chat.id))
  other:close()
end)
case("mistakes", function(env) -- an argument error is one with memory, and Lua's without
  for _, mistake in ipairs {
    function() env.chat:append("user", "x", { nothing = 1 }) end,
    function() env.chat:append("user", print) end,
    function() env.user:list({ limit = "x" }) end,
    function() env.chat:update({ [{}] = 1 }) end,
  } do
    local ok, message = pcall(mistake)
    assert(not ok)
    if not message:find("bad argument") then error(message, 0) end
  end
  local stored, message, code = env.chat:append("user", "x", { expect = 1 })
  assert(stored == nil and code == "conflict", message)
  stored, message, code = env.chat:message(1000)
  assert(stored == nil and code == "not_found", message)
end)
case("conversation", function(env)
  must(env.user:conversation("new" .. convstore.uuid(), { title = "t", metadata = { a = { 1 } } }))
  must(env.user:conversation("telegram:7"))
  must(env.user:create({ id = convstore.uuid(), status = "closed", created_at = 5 }))
end)
case("change", function(env)
  local chat = must(env.user:create({ metadata = { a = 1 } }))
  must(chat:update({ title = LONG:sub(1, 2000), metadata = { b = KEYS }, merge = true, status = "archived" }))
  must(chat:update({ title = convstore.null, metadata = convstore.null }))
  must(chat:refresh())
  must(chat:delete())
  must(chat:restore())
  must(env.user:get(chat.id, { deleted = true }))
  must(chat:purge())
end)
case("append", function(env)
  local message = must(env.chat:append("user", "hello", { metadata = KEYS, name = "ann" }))
  must(env.chat:append({ role = "assistant", content = LONG, id = convstore.uuid() }))
  must(env.chat:append({ role = "user", content = "hello", id = message.id }))
  must(env.chat:append_many({ { role = "user", content = "one" },
    { role = "assistant", tool_calls = CALLS } }))
end)
case("message", function(env)
  local message = must(env.chat:message(3))
  must(env.chat:message(message.id))
  must(env.chat:annotate(4, { seen = true, more = KEYS }))
  must(env.chat:redact(2))
end)
case("history", function(env)
  must(env.chat:history())
  must(env.chat:history({ limit = 3, role = { "user", "assistant" }, order = "desc" }))
  local n = 0
  for message in must(env.chat:each({ after = 1 })) do n = n + #message.id end
  assert(n > 0)
end)
case("context", function(env)
  must(env.chat:summarize("They talked of paper.", { through = 4, metadata = { a = 1 } }))
  must(env.chat:context({ max_tokens = 1000 }))
  must(env.chat:context({ format = "anthropic", max_messages = 4 }))
  must(env.chat:context_json())
  must(env.chat:context_json({ format = "anthropic" }))
end)
case("fork", function(env)
  local fork = must(env.chat:fork({ at = 5, title = "fork", metadata = { a = 1 } }))
  assert(fork.forked_from.seq == 5)
end)
case("lists", function(env)
  local _, cursor = must(env.user:list({ limit = 1 }))
  must(env.user:list({ limit = 1, cursor = cursor }))
  must(env.user:list({ order = "created", deleted = "any" }))
  for conversation in must(env.user:conversations({ limit = 1 })) do assert(conversation.id) end
  _, cursor = must(env.user:messages({ limit = 2, role = "user" }))
  must(env.user:messages({ limit = 2, role = "user", cursor = cursor }))
  must(env.user:usage())
  must(env.user:usage({ by = "day" }))
  must(env.user:usage({ by = "conversation" }))
end)
case("search", function(env)
  local hits, cursor = must(env.user:search('"paper jam" -toner', { limit = 2 }))
  assert(#hits == 2)
  must(env.user:search('"paper jam" -toner', { limit = 2, cursor = cursor }))
end)
case("transaction", function(env)
  must(env.store:transaction(function(text)
    must(env.chat:append("user", text))
    local ok, message = pcall(env.store.transaction, env.store, function()
      must(env.chat:append("user", "undone"))
      error("undo")
    end)
    if ok or type(message) ~= "string" or not message:find("undo") then error(message, 0) end
    return true
  end, "in a transaction"))
  local none = env.store:transaction(function() return nil, "no" end)
  assert(none == nil)
  local thread = coroutine.create(function()
    return env.store:transaction(function()
      must(env.chat:append("user", "never"))
      coroutine.yield()
    end)
  end)
  local ok, message = coroutine.resume(thread)
  coroutine.close(thread)
  if not ok then error(message, 0) end
end)
case("dropped transaction", function(env)
  local function open()
    local transaction = must(core.begin(env.store))
    must(env.chat:append("user", "never"))
    assert(transaction)
  end
  local ok, message = pcall(coroutine.wrap(open))
  collectgarbage() -- until then it is the coroutine's
  if not ok then error(message, 0) end
end)
case("operators", function(env)
  must(env.store:stats())
  assert(#must(env.store:check()) == 0)
  local _, cursor = must(env.store:users({ limit = 1 }))
  if cursor then must(env.store:users({ limit = 1, cursor = cursor })) end
  must(env.store:schema_version())
  must(env.store:migrations())
  must(env.store:migrate())
end)
case("retention", function(env)
  must(env.store:archive({ idle_before = 5 }))
  must(env.store:purge({ deleted_before = 5, idle_before = 5 }))
  local user = env.store:user("erased" .. tag)
  local chat = must(user:create())
  must(chat:append("user", "hello"))
  must(user:erase())
end)
case("backup", function(env)
  local path = dsn .. ".backup"
  os.remove(path)
  local done, message, code = env.store:backup(path)
  if not done and code ~= "unsupported" then error({ message = message, code = code }, 0) end
  os.remove(path)
end)
case("close", function(env)
  must(env.store:close())
  must(env.store:close())
  env.store = must(convstore.open(dsn, options))
  env.user = env.store:user("alice" .. tag)
  env.chat = must(env.user:conversation("telegram:7"))
end)
-- Thousands of allocations, most of them SQLite's or the server's alone.
case("migrations down and up", function(env)
  must(env.store:migrate(0))
  must(env.store:migrate())
  env.chat = must(env.user:conversation("telegram:7"))
  for i = 1, 6 do must(env.chat:append("user", "paper jam number " .. i)) end
end, true)

-- Functions by name: all that the module registers, and what the handles' metatables do but for __gc, which the end of
-- each run is about.
local function functions()
  local all = {}
  for kind, methods in pairs { store = core.store, user = core.user, conversation = core.conversation,
    core = core, convstore = convstore } do
    for name, fn in pairs(methods) do
      if type(fn) == "function" then all[fn] = kind .. "." .. name end
    end
  end
  local env = prepare()
  for _, handle in ipairs { env.store, env.user, env.chat } do
    local meta = debug.getmetatable(handle)
    for name, fn in pairs(meta) do
      if type(fn) == "function" and name ~= "__gc" then all[fn] = all[fn] or meta.__name .. "." .. name end
    end
  end
  return all
end

-- Runs every case as it is; the names of functions that none has called.
local function uncovered()
  local all = functions()
  debug.sethook(function()
    all[debug.getinfo(2, "f").func] = nil
  end, "c")
  for _, one in ipairs(cases) do
    if one.name ~= "require" then one.run(prepare()) end -- that one makes other functions of the same names
  end
  debug.sethook()
  local names = {}
  for _, name in pairs(all) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

return { prepare = prepare, cases = cases, uncovered = uncovered }
