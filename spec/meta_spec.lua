-- What editors are told (docs/meta) is what there is, both ways: functions, options, and the fields of what comes back.
local core = require "convstore.core"
local convstore = require "convstore"
local backends = require "spec.support.backends"
local shell = require "spec.support.shell"
local meta = dofile("tools/docs/meta.lua")

local found = meta.read("docs/meta")

local function sorted(set)
  local list = {}
  for key in pairs(set) do
    list[#list + 1] = key
  end
  table.sort(list)
  return list
end

-- Each table of keys in the binding, and the class that says the same.
local CLASS_OF_KEYS = {
  archive_options = "ArchiveOptions",
  context_options = "ContextOptions",
  create_fields = "CreateFields",
  fork_fields = "ForkFields",
  get_options = "GetOptions",
  history_options = "HistoryOptions",
  list_options = "ListOptions",
  message_fields = "NewMessage",
  messages_options = "MessagesOptions",
  open_options = "OpenOptions",
  purge_options = "PurgeOptions",
  search_options = "SearchOptions",
  summary_fields = "SummaryFields",
  update_fields = "UpdateFields",
  usage_options = "UsageOptions",
  users_options = "UsersOptions",
}

-- The tables of keys that the binding reads options and fields by: { NAME = set of keys }.
local function tables_of_keys()
  local tables = {}
  for path in io.popen("ls csrc/binding/*.c"):lines() do
    local source = assert(shell.read(path))
    for name, body in source:gmatch("static const struct field ([%w_]+)%[%] = (%b{});") do
      local keys = {}
      for key in body:gmatch('FIELD[_OF]*%("([%w_]+)"') do
        keys[key] = true
      end
      tables[name] = keys
    end
  end
  return tables
end

describe("docs/meta", function()
  it("is Lua", function()
    for path in io.popen("ls docs/meta/*.lua"):lines() do
      assert(loadfile(path))
    end
  end)

  it("has the functions that are registered, and no others", function()
    local registered = {}
    for receiver, methods in pairs({ store = core.store, user = core.user,
      conversation = core.conversation }) do
      for name in pairs(methods) do
        registered[receiver .. ":" .. name] = true
      end
    end
    for name, value in pairs(convstore) do
      if type(value) == "function" then
        registered["convstore." .. name] = true
      end
    end
    assert.same(sorted(registered), sorted(found.functions))
  end)

  it("has the fields of the module, and no others", function()
    local fields = {}
    for name, value in pairs(convstore) do
      if type(value) ~= "function" then
        fields[name] = true
      end
    end
    assert.same(sorted(fields), sorted(meta.fields(found, "convstore")))
  end)

  it("says of each function its parameters, in their order, and what it returns", function()
    for name, entry in pairs(found.functions) do
      assert.same(entry.params, entry.documented, name)
      assert(entry.returns > 0, name)
    end
  end)

  it("mentions no type that it does not define, and defines none that nobody mentions", function()
    for name in pairs(found.types) do
      assert(found.classes[name], name)
    end
    for name in pairs(found.classes) do
      assert(name == "convstore" or found.types[name], name)
    end
  end)

  it("has the options and fields that are read, and no others", function()
    local tables = tables_of_keys()
    assert.same(sorted(CLASS_OF_KEYS), sorted(tables))
    for name, keys in pairs(tables) do
      assert.same(sorted(keys), sorted(meta.fields(found, CLASS_OF_KEYS[name])), name)
    end
    -- Two are the end of another table.
    tables.create_fields.key = nil
    assert.same(sorted(tables.create_fields), sorted(meta.fields(found, "ConversationFields")))
    tables.message_fields.role, tables.message_fields.content = nil, nil
    assert.same(sorted(tables.message_fields), sorted(meta.fields(found, "FurtherFields")))
  end)

  it("has the roles, marks and codes of the C header", function()
    local header = assert(shell.read("csrc/convstore.h"))
    local texts = ""
    for path in io.popen("ls docs/meta/*.lua"):lines() do
      texts = texts .. shell.read(path)
    end
    local function members(alias)
      local set = {}
      for word in texts:match("@alias convstore%." .. alias .. "[^\n]*"):gmatch('"(%l+)"') do
        set[word] = true
      end
      return set
    end
    local function enumerators(pattern)
      local set = {}
      for word in header:gmatch(pattern) do
        set[word:lower()] = true
      end
      return set
    end
    assert.same(enumerators("CONVSTORE_ROLE_(%u+)"), members("Role"))
    assert.same(enumerators("CONVSTORE_MARK_(%u+)"), members("Status"))
    local codes = {}
    for word in texts:match("@alias convstore%.Code\n(.-)\n\n"):gmatch('%-%-%-| "([%l_]+)"') do
      codes[word] = true
    end
    local statuses = enumerators("CONVSTORE_E_([%u_]+) = ")
    statuses.memory = nil -- Lua raises instead
    assert.same(statuses, codes)
  end)
end)

for _, backend in ipairs(backends) do
  describe("docs/meta " .. backend.tags, function()
    after_each(backends.clean)

    -- The keys of these tables together are the fields of the class; those that are always there are in each of them.
    local function assert_fields(class, ...)
      local fields, seen = meta.fields(found, class), {}
      for _, one in ipairs({ ... }) do
        for key in pairs(one) do
          assert(fields[key] ~= nil, class .. " lacks the field " .. key)
          seen[key] = true
        end
        for field, optional in pairs(fields) do
          assert(optional or one[field] ~= nil, class .. ": the field " .. field .. " may be absent")
        end
      end
      for field in pairs(fields) do
        assert(seen[field], class .. " has a field that never comes: " .. field)
      end
    end

    it("has the fields of what comes back, and no others", function()
      local events = {}
      local store = backend.fresh({ slow_ms = 0, log = function(event) events[#events + 1] = event end })
      local user = store:user("alice")
      local chat = assert(user:conversation("a", { title = "T", metadata = { a = 1 } }))
      local call = { id = "c1", type = "function", ["function"] = { name = "f", arguments = "{}" } }
      local photo = { url = "https://example.org/p.png", name = "p", mime_type = "image/png", size = 1,
        sha256 = "00" }
      local first = assert(chat:append("user", "printer", { name = "n", metadata = { b = 2 },
        attachments = { photo } }))
      local second = assert(chat:append({ role = "assistant", tool_calls = { call } }))
      local third = assert(chat:append("tool", "page 3", { tool_call_id = "c1" }))
      assert_fields("Attachment", first.attachments[1])
      assert_fields("ToolCall", second.tool_calls[1])
      assert_fields("Function", second.tool_calls[1]["function"])
      local context, info = assert(chat:context())
      assert_fields("ApiMessage", table.unpack(context))
      assert(chat:append("system", "rules"))
      local _, other = assert(chat:context({ format = "anthropic" }))
      local _, empty = assert(assert(user:create()):context())
      assert_fields("ContextInfo", info, other, empty)
      assert_fields("Summary", (assert(chat:summarize("s", { metadata = { c = 3 } }))))
      local hits = assert(user:search("printer"))
      assert_fields("Hit", hits[1])
      local annotated = assert(chat:annotate(1, { d = 4 }))
      assert_fields("Message", first, second, third, annotated, assert(chat:redact(1)))
      local fork = assert(chat:fork({ at = 2, key = "f", title = "F" }))
      assert_fields("Forked", fork.forked_from)
      assert(fork:delete())
      local listed = assert(user:list({ deleted = "any" }))
      assert_fields("Listed", table.unpack(listed))
      assert(chat:append("user", "more"))
      assert_fields("LastMessage", assert(user:list({ limit = 1 }))[1].last_message)
      local usage = assert(user:usage())
      assert_fields("Usage", usage)
      assert_fields("Sums", usage.by_role.user)
      assert_fields("UsageGroup", assert(user:usage({ by = "day" }))[1],
        assert(user:usage({ by = "conversation" }))[1])
      assert_fields("UserRow", assert(store:users())[1])
      assert_fields("Stats", (assert(store:stats())))
      assert_fields("Migration", assert(store:migrations())[1])
      assert_fields("Changed", (assert(user:erase())))
      for _, event in ipairs(events) do
        for key in pairs(event) do
          assert(found.classes.Event.fields[key] ~= nil, key)
        end
      end
      assert(#events > 0)
    end)

    it("has the fields of a handle, and no others that it shows", function()
      local store = backend.fresh()
      local user = store:user("alice")
      local chat = assert(user:conversation("a", { title = "T", metadata = { a = 1 } }))
      assert(chat:append("user", "x"))
      local fork = assert(chat:fork({ title = "F" }))
      assert(fork:delete())
      local shown = assert(user:get(fork.id, { deleted = true }))
      local fields = meta.fields(found, "Conversation")
      for field, optional in pairs(fields) do
        assert(optional or chat[field] ~= nil, field)
        assert(chat[field] ~= nil or shown[field] ~= nil, field)
      end
      -- What a list shows, a handle shows too, but for the last message.
      for field in pairs(meta.fields(found, "Listed")) do
        assert(field == "last_message" or fields[field] ~= nil, field)
      end
      assert.equal("alice", user.id)
      assert.same({ id = false }, meta.fields(found, "User"))
    end)
  end)
end
