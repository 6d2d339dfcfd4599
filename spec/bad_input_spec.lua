-- Every public function with every kind of bad value in every argument: the documented raise or code, and nothing
-- written. What a parameter may be is said once, in KINDS; where it stands in which function, in PARAMETERS.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local function deep(levels)
  local value = 1
  for _ = 1, levels do
    value = { a = value }
  end
  return value
end

local function cycle()
  local value = {}
  value.a = value
  return value
end

-- Strings that are no text, wherever they stand.
local NO_TEXT = { "a\0b", "\0", "\255", "abc\xC3", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90\x80\x80" }
-- Integers that Lua's own functions would not take.
local NO_INTEGER = { "1", "", true, {}, print, 1.5, 0 / 0, 1 / 0, 2.0 ^ 53, -(2.0 ^ 63) }

-- Tables that can't be JSON.
local function no_json()
  return {
    { a = print }, { a = 0 / 0 }, { a = 1 / 0 }, { [2] = 1 }, { 1, 2, a = 3 }, { [true] = 1 },
    { a = io.stdout }, { a = "\0" },
    { ["\255"] = 1 }, { a = coroutine.create(print) }, cycle(), deep(65), deep(5000),
  }
end

local function with(list, ...)
  local all = table.move(list, 1, #list, 1, {})
  for _, value in ipairs({ ... }) do
    all[#all + 1] = value
  end
  return all
end

local KINDS = {
  boolean = { raise = { 0, 1, "true", "any", {}, print } },
  fn = { raise = { 5, "x", true, {}, convstore.null } },
  options = { raise = { 5, "x", true, print, { nonsense = 1 }, { [1] = 1 }, { [true] = 1 }, { [""] = 1 } } },
  dsn = { raise = { true, {}, print }, invalid = { "", "a\0b", "\0" } },
  user_id = {
    raise = with(NO_TEXT, "", ("x"):rep(256), ("x"):rep(9999), true, {}, print, 1.5, 0 / 0, 1 / 0, 2.0 ^ 53),
  },
  id = {
    raise = { 5, true, {}, print },
    invalid = with(NO_TEXT, "", "x", ("0"):rep(36), ("0"):rep(32), ("x"):rep(100000),
      "00000000-0000-7000-8000-00000000000A"),
  },
  key = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, "", ("x"):rep(256), ("x"):rep(100000)) },
  title = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, ("x"):rep(2049), ("é"):rep(1025)) },
  status = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, "", "Active", "open", ("x"):rep(9999)) },
  name = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, ("x"):rep(2049)) },
  tool_call_id = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, ("x"):rep(65537)) },
  role = { raise = { 5, true, {}, print }, invalid = with(NO_TEXT, "", "User", "robot", ("x"):rep(9999)) },
  roles = {
    raise = { 5, true, print, { 5 }, { {} } },
    invalid = { "", "x", { "x" }, { "user", "User" }, "\0" },
  },
  order = { raise = { 5, true, {}, print }, invalid = { "", "x", "DESC", "\0" } },
  format = { raise = { 5, true, {}, print }, invalid = { "", "x", "OpenAI", "\0" } },
  reserve = { raise = NO_INTEGER, invalid = { -1, -2, math.mininteger } },
  metadata = {
    raise = { 5, "x", true, print, io.stdout },
    invalid = no_json(),
    too_large = { { a = ("x"):rep(1000) } },
  },
  content = {
    raise = { 5, true, print, io.stdout },
    invalid = with(NO_TEXT, { "x" }, { {} }, { { type = 1 } }, { { type = "tool_use" } },
      { { type = "tool_result" } }, { { type = "text", x = deep(64) } }, { { type = "text", x = print } },
      { type = "text" }, { { type = "\255" } }),
    too_large = { ("x"):rep(1001), { { type = "text", text = ("x"):rep(1000) } } },
  },
  tool_calls = {
    raise = { 5, "x", true, print },
    invalid = { { "x" }, { {} }, { { id = 5 } }, { { id = "" } }, { { id = "\0" } }, { id = "x" },
      { { id = "c", x = print } }, { { id = "c", x = deep(64) } }, { { id = "c" }, { name = "f" } } },
    too_large = { { { id = "c", x = ("x"):rep(1000) } } },
  },
  attachments = {
    raise = { 5, "x", true, print },
    invalid = { { "x" }, { 5 }, { { url = 5 } }, { { name = true } }, { { mime_type = {} } },
      { { sha256 = 1 } }, { { size = -1 } }, { { size = 1.5 } }, { { size = "1" } }, { { url = "\255" } },
      { url = "x" }, { { x = deep(64) } } },
    too_large = { { { url = ("x"):rep(1000) } } },
  },
  time = { raise = NO_INTEGER, invalid = { -1, 253402300800000, math.maxinteger, math.mininteger } },
  token_count = { raise = NO_INTEGER, invalid = { -1, 2147483648, math.maxinteger, math.mininteger } },
  expect = { raise = NO_INTEGER, invalid = { -1, math.mininteger }, conflict = { 0, 2, math.maxinteger } },
  limit = { raise = NO_INTEGER, invalid = { 0, -1, math.mininteger } },
  border = { raise = NO_INTEGER, invalid = { -1, math.mininteger } },
  page = { raise = NO_INTEGER, invalid = { 0, -1, 1001, math.maxinteger, math.mininteger } },
  cursor = {
    raise = { 5, true, {}, print },
    invalid = with(NO_TEXT, "", "x", ("A"):rep(46), ("x"):rep(100000)),
  },
  path = {
    raise = { 5, true, {}, print, convstore.null, io.stdout },
    invalid = { "", "\0", "a\0b", "/nowhere/" },
  },
  deleted = { raise = { 0, 1, {}, print, convstore.null }, invalid = { "", "true", "Any", "\0" } },
  text = { raise = { 5, true, {}, print }, invalid = NO_TEXT, too_large = { ("x"):rep(1001) } },
  at = { raise = NO_INTEGER, invalid = { -1, 2, math.maxinteger, math.mininteger } },
  through = { raise = NO_INTEGER, invalid = { 0, -1, 2, math.maxinteger, math.mininteger } },
  target = { raise = NO_INTEGER, invalid = { -1, 1000000, math.maxinteger, math.mininteger } },
  seq = {
    raise = NO_INTEGER,
    invalid = { 0, -1, math.mininteger },
    not_found = { 2, 2147483648, math.maxinteger },
  },
  -- A seq or an id: a string is an id.
  seq_or_id = {
    raise = { true, {}, print, 1.5, 0 / 0, 2.0 ^ 53 },
    invalid = with(NO_TEXT, "", "1", "x", 0, -1, math.mininteger),
    not_found = { 2, math.maxinteger, "00000000-0000-7000-8000-000000000000" },
  },
}

-- A message around one bad field.
local function message(name, value)
  local all = { role = name == "tool_call_id" and "tool" or "user", content = "x" }
  all[name] = value
  return all
end

-- Function, parameter, kind of parameter, and how to call it with a bad value. `t` has store, alice and chat; chat has
-- one message.
local PARAMETERS = {
  { "convstore.open", "dsn", "dsn", function(_, v) return convstore.open(v) end },
  { "convstore.open", "options", "options", function(_, v) return convstore.open(":memory:", v) end },
  { "store:user", "id", "user_id", function(t, v) return t.store:user(v) end },
  { "store:transaction", "fn", "fn", function(t, v) return t.store:transaction(v) end },
  { "store:migrate", "target", "target", function(t, v) return t.store:migrate(v) end },
  { "user:conversation", "key", "key", function(t, v) return t.alice:conversation(v) end },
  { "user:conversation", "fields", "options", function(t, v) return t.alice:conversation("new", v) end },
  { "user:create", "fields", "options", function(t, v) return t.alice:create(v) end },
  { "user:create", "key", "key", function(t, v) return t.alice:create({ key = v }) end },
  { "user:get", "id", "id", function(t, v) return t.alice:get(v) end },
  { "user:get", "options", "options", function(t, v) return t.alice:get(t.chat.id, v) end },
  { "user:get", "deleted", "boolean", function(t, v) return t.alice:get(t.chat.id, { deleted = v }) end },
  -- A table in the place of the role would be a message, and one in the place of messages a list.
  { "conv:append", "role", "role", function(t, v)
    return t.chat:append(type(v) == "table" and 5 or v, "x")
  end },
  { "conv:append", "content", "content", function(t, v) return t.chat:append("user", v) end },
  { "conv:append", "fields", "options", function(t, v) return t.chat:append("user", "x", v) end },
  { "conv:append_many", "messages", "fn", function(t, v)
    return t.chat:append_many(type(v) == "table" and { 5 } or v)
  end },
  { "conv:message", "seq", "seq_or_id", function(t, v) return t.chat:message(v) end },
  { "conv:history", "options", "options", function(t, v) return t.chat:history(v) end },
  { "conv:update", "fields", "options", function(t, v) return t.chat:update(v) end },
  { "conv:update", "title", "title", function(t, v) return t.chat:update({ title = v, key = "new" }) end },
  { "conv:update", "status", "status", function(t, v) return t.chat:update({ title = "x", status = v }) end },
  { "conv:update", "key", "key", function(t, v) return t.chat:update({ key = v, title = "x" }) end },
  { "conv:update", "merge", "boolean", function(t, v) return t.chat:update({ merge = v, title = "x" }) end },
  { "conv:update", "metadata", "metadata", function(t, v)
    return t.chat:update({ metadata = v, title = "x" })
  end },
  { "conv:update", "metadata to merge", "metadata", function(t, v)
    return t.chat:update({ metadata = v, merge = true, title = "x" })
  end },
  { "conv:annotate", "seq", "seq", function(t, v) return t.chat:annotate(v, { a = 1 }) end },
  { "conv:annotate", "metadata", "metadata", function(t, v) return t.chat:annotate(1, v) end },
  { "conv:redact", "seq", "seq", function(t, v) return t.chat:redact(v) end },
  { "conv:fork", "fields", "options", function(t, v) return t.chat:fork(v) end },
  { "conv:summarize", "text", "text", function(t, v) return t.chat:summarize(v) end },
  { "conv:summarize", "fields", "options", function(t, v) return t.chat:summarize("x", v) end },
  { "user:list", "options", "options", function(t, v) return t.alice:list(v) end },
  { "user:messages", "options", "options", function(t, v) return t.alice:messages(v) end },
  { "user:usage", "options", "options", function(t, v) return t.alice:usage(v) end },
  { "store:users", "options", "options", function(t, v) return t.store:users(v) end },
  { "store:backup", "path", "path", function(t, v) return t.store:backup(v) end },
}

local function add(name, parameter, kind, call)
  PARAMETERS[#PARAMETERS + 1] = { name, parameter, kind, call }
end

for option, kind in pairs({
  migrate = "boolean", readonly = "boolean", durability = "order", text = "order",
  max_content_bytes = "limit", count_tokens = "fn",
}) do
  add("convstore.open", option, kind, function(_, v)
    return convstore.open(":memory:", { [option] = v })
  end)
end

for field, kind in pairs({
  id = "id", title = "title", status = "status", metadata = "metadata", created_at = "time",
}) do
  add("user:create", field, kind, function(t, v) return t.alice:create({ [field] = v }) end)
  add("user:conversation", field, kind, function(t, v)
    return t.alice:conversation("new", { [field] = v })
  end)
end

for field, kind in pairs({
  id = "id", role = "role", content = "content", name = "name", tool_call_id = "tool_call_id",
  tool_calls = "tool_calls", attachments = "attachments", metadata = "metadata", token_count = "token_count",
  created_at = "time", expect = "expect",
}) do
  add("conv:append", field, kind, function(t, v) return t.chat:append(message(field, v)) end)
  add("conv:append_many", field, kind, function(t, v)
    local messages = { message("name", "good"), message("name", "good") }
    -- Only the first message may carry `expect`.
    table.insert(messages, field == "expect" and 1 or 2, message(field, v))
    return t.chat:append_many(messages)
  end)
end

for option, kind in pairs({
  after = "border", before = "border", limit = "limit", order = "order", role = "roles",
}) do
  add("conv:history", option, kind, function(t, v) return t.chat:history({ [option] = v }) end)
  add("conv:each", option, kind, function(t, v)
    local ok, failure = pcall(function()
      local iterate, state, control = t.chat:each({ [option] = v })
      return iterate(state, control)
    end)
    if ok then
      return true
    elseif failure:find("bad argument", 1, true) then
      error(failure, 0)
    end
    -- A failure inside the loop raises the message that history would return.
    return nil, failure, failure:match("^[%a_]+")
  end)
end

for field, kind in pairs({ at = "at", id = "id", title = "title", key = "key", metadata = "metadata" }) do
  add("conv:fork", field, kind, function(t, v) return t.chat:fork({ [field] = v }) end)
end

for field, kind in pairs({ through = "through", token_count = "token_count", metadata = "metadata" }) do
  add("conv:summarize", field, kind, function(t, v) return t.chat:summarize("x", { [field] = v }) end)
end

for method, options in pairs({
  list = { limit = "page", cursor = "cursor", order = "order", status = "status", deleted = "deleted" },
  messages = { limit = "page", cursor = "cursor", role = "roles", since = "time", before = "time" },
  usage = { since = "time", before = "time", by = "order" },
}) do
  for option, kind in pairs(options) do
    add("user:" .. method, option, kind, function(t, v) return t.alice[method](t.alice, { [option] = v }) end)
  end
end

for option, kind in pairs({ limit = "page", cursor = "cursor" }) do
  add("store:users", option, kind, function(t, v) return t.store:users({ [option] = v }) end)
end

for option, kind in pairs({
  limit = "page", cursor = "cursor", role = "roles", since = "time", before = "time", conversation_id = "id",
}) do
  add("user:search", option, kind, function(t, v) return t.alice:search("x", { [option] = v }) end)
end

for _, method in ipairs({ "context", "context_json" }) do
  add("conv:" .. method, "options", "options", function(t, v) return t.chat[method](t.chat, v) end)
  for option, kind in pairs({
    max_tokens = "limit", max_messages = "limit", reserve = "reserve", system = "boolean", format = "format",
  }) do
    add("conv:" .. method, option, kind, function(t, v) return t.chat[method](t.chat, { [option] = v }) end)
  end
end

table.sort(PARAMETERS, function(a, b) return a[1] .. a[2] < b[1] .. b[2] end)

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("bad input " .. backend.tags, function()
      local case

      before_each(function()
        local store, database = backend.fresh({ max_content_bytes = 1000 })
        local alice = store:user("alice")
        case = { store = store, database = database, alice = alice, chat = assert(alice:conversation("k")) }
        assert(case.chat:append("user", "the only one"))
      end)
      after_each(backends.clean)

      for i, parameter in ipairs(PARAMETERS) do
        local name, field, kind, call = table.unpack(parameter)
        it(("in %s: %s (%d)"):format(name, field, i), function()
          local before = case.database:dump()
          local refusals = 0
          for outcome, values in pairs(KINDS[kind]) do
            for _, value in ipairs(values) do
              refusals = refusals + 1
              if outcome == "raise" then
                check.raises("bad argument", call, case, value)
              else
                check.fails(outcome, nil, call(case, value))
              end
            end
          end
          assert.is_true(refusals >= 5)
          assert.equal(before, case.database:dump())
          -- The handles are as good as before.
          assert.equal("the only one", assert(case.chat:message(1)).content)
          assert.equal(2, assert(case.chat:append("user", "next")).seq)
        end)
      end

      it("in no case gives internal, whatever is given in whatever place", function()
        local values = {
          0, -1, 1, math.maxinteger, math.mininteger, 0.5, 0 / 0, 1 / 0, "", "x", "1", "\0", "\255",
          ("x"):rep(3000), "user", "tool", case.chat.id, true, false, {}, { 1 }, { {} }, { a = 1 }, cycle(),
          deep(70), type, io.stdout, convstore.null, convstore.array {}, case.alice, case.chat, case.store,
        }
        local methods = {
          { case.store, "user", "transaction", "migrations", "schema_version", "users", "check", "stats" },
          { case.alice, "conversation", "create", "get", "list", "messages", "usage", "conversations",
            "search" },
          { case.chat, "append", "append_many", "message", "history", "update", "annotate", "each", "fork",
            "summarize", "context", "context_json" },
        }
        local function try(handle, name, ...)
          local ok, value, failure, code = pcall(handle[name], handle, ...)
          local said = name .. ": " .. tostring(ok and failure or value)
          if not ok then
            assert(type(value) == "string" and not value:find("internal", 1, true), said)
          elseif value == nil and failure ~= nil then
            assert(code ~= "internal" and failure:sub(1, #code + 2) == code .. ": ", said)
          end
        end
        for _, group in ipairs(methods) do
          for i = 2, #group do
            for _, first in ipairs(values) do
              for _, second in ipairs(values) do
                try(group[1], group[i], first, second)
              end
            end
          end
        end
        case.database:assert_sound()
      end)
    end)
  end
end
