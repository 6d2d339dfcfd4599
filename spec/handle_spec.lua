-- Handles: their life, their end, and what happens when they are used after it or by the wrong hands.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

-- Every method with arguments that a live handle takes.
local STORE_METHODS = {
  user = { "alice" }, transaction = { function() end }, schema_version = {}, migrate = {}, migrations = {},
  purge = { { idle_before = 0 } }, archive = { { idle_before = 0 } },
  users = {}, check = {}, stats = {}, backup = { "/nowhere/copy.db" },
}
local USER_METHODS = {
  conversation = { "a" }, create = {}, get = { "00000000-0000-7000-8000-000000000000" },
  list = {}, conversations = {}, messages = {}, usage = {}, erase = {},
}
local CONVERSATION_METHODS = {
  append = { "user", "hello" }, append_many = { {} }, message = { 1 }, history = {}, each = {},
  context = {}, context_json = {},
  update = { { title = "x" } },
  annotate = { 1, {} }, redact = { 1 }, delete = {}, restore = {}, purge = {}, refresh = {},
  fork = {}, summarize = { "x" },
}

local function each_method(handle, methods, visit)
  for name, arguments in pairs(methods) do
    assert.is_function(handle[name], name)
    visit(handle[name], handle, table.unpack(arguments))
  end
end

for _, backend in ipairs(backends) do
  describe("a handle " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store, database = backend.fresh()
      local alice = store:user("alice")
      return store, alice, assert(alice:conversation("a")), database
    end

    it("has a name and says what it is", function()
      local store, alice, chat = fresh()
      assert.equal("convstore.store", debug.getmetatable(store).__name)
      assert.equal("convstore.user", debug.getmetatable(alice).__name)
      assert.equal("convstore.conversation", debug.getmetatable(chat).__name)
      assert.truthy(tostring(store):find("^convstore%.store: 0x%x+$"))
      assert.equal("convstore.user: alice", tostring(alice))
      assert.equal("convstore.conversation: " .. chat.id, tostring(chat))
    end)

    it("says when it is closed", function()
      local store, alice, chat = fresh()
      local id = chat.id
      chat:close()
      alice:close()
      store:close()
      assert.equal("convstore.store (closed)", tostring(store))
      assert.equal("convstore.user: alice (closed)", tostring(alice))
      assert.equal("convstore.conversation: " .. id .. " (closed)", tostring(chat))
    end)

    it("may be closed twice", function()
      local store, alice, chat = fresh()
      for _, handle in ipairs({ chat, alice, store }) do
        assert.is_true(handle:close())
        assert.is_true(handle:close())
      end
    end)

    it("is closed at the end of a block that declares it <close>", function()
      local store, alice, chat
      do
        local s <close> = backend.fresh()
        local a <close> = s:user("alice")
        local c <close> = assert(a:conversation("a"))
        store, alice, chat = s, a, c
        assert(chat:append("user", "hello"))
      end
      check.raises("store is closed", store.user, store, "bob")
      check.raises("user is closed", alice.create, alice)
      check.raises("conversation is closed", chat.append, chat, "user", "x")
    end)

    it("is closed by an error that leaves such a block", function()
      local store
      check.raises("^boom$", function()
        local s <close> = backend.fresh()
        store = s
        error("boom", 0)
      end)
      check.raises("is closed", store.user, store, "bob")
    end)

    it("raises in every method once it is closed", function()
      local store, alice, chat = fresh()
      chat:close()
      each_method(chat, CONVERSATION_METHODS, function(...) check.raises("conversation is closed", ...) end)
      alice:close()
      each_method(alice, USER_METHODS, function(...) check.raises("user is closed", ...) end)
      store:close()
      each_method(store, STORE_METHODS, function(...) check.raises("store is closed", ...) end)
    end)

    it("raises in every method once its store is closed", function()
      local store, alice, chat = fresh()
      store:close()
      each_method(chat, CONVERSATION_METHODS, function(...) check.raises("is closed", ...) end)
      each_method(alice, USER_METHODS, function(...) check.raises("is closed", ...) end)
      assert.is_true(chat:close())
      assert.is_true(alice:close())
    end)

    it("still shows its fields when it is closed", function()
      local store, alice, chat = fresh()
      local id = chat.id
      chat:close()
      alice:close()
      store:close()
      assert.equal(id, chat.id)
      assert.equal("a", chat.key)
      assert.equal("alice", alice.id)
    end)

    it("closes nothing but itself", function()
      local store, alice, chat = fresh()
      alice:close()
      assert(chat:append("user", "hello"))
      chat:close()
      assert(assert(store:user("alice"):conversation("a")):append("user", "again"))
    end)

    it("keeps its parents alive", function()
      local function conversation()
        local store = convstore.open(":memory:")
        return assert(store:user("alice"):conversation("a"))
      end
      local chat = conversation()
      collectgarbage()
      collectgarbage()
      assert.equal(1, assert(chat:append("user", "hello")).seq)
      local iterate, state, control = chat:each()
      chat = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.equal("hello", iterate(state, control).content)
    end)

    it("may be dropped in any order", function()
      for round = 1, 6 do
        local handles = {}
        handles[1] = backend.fresh()
        handles[2] = handles[1]:user("alice")
        handles[3] = assert(handles[2]:conversation("a"))
        handles[4] = handles[3]:each()
        local orders = { { 1, 2, 3, 4 }, { 4, 3, 2, 1 }, { 2, 1, 4, 3 }, { 3, 1, 2, 4 }, { 1, 4, 3, 2 }, { 4,
          1, 3, 2 } }
        for _, i in ipairs(orders[round]) do
          handles[i] = nil
          collectgarbage()
        end
      end
    end)

    it("may be closed in any order", function()
      for _, order in ipairs({ { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2,
        1 } }) do
        local handles = { fresh() }
        for _, i in ipairs(order) do
          assert.is_true(handles[i]:close())
        end
        collectgarbage()
      end
    end)

    it("refuses to be another kind of thing", function()
      local store, alice, chat = fresh()
      for _, wrong in ipairs({ io.stdout, {}, "x", 5, true, convstore.null, alice, chat }) do
        check.raises("store", store.user, wrong, "alice")
        check.raises("store", store.close, wrong)
      end
      for _, wrong in ipairs({ io.stdout, {}, "x", 5, true, convstore.null, store, chat }) do
        check.raises("user", alice.create, wrong)
        check.raises("user", alice.close, wrong)
      end
      for _, wrong in ipairs({ io.stdout, {}, "x", 5, true, convstore.null, store, alice }) do
        each_method(chat, CONVERSATION_METHODS, function(method, _, ...)
          check.raises("conversation", method, wrong, ...)
        end)
        check.raises("conversation", chat.close, wrong)
      end
      check.raises("store", store.user)
      check.raises("user", alice.create)
      check.raises("conversation", chat.append)
    end)

    it("guards its metamethods too", function()
      local store, alice, chat = fresh()
      for _, handle in ipairs({ store, alice, chat }) do
        local metatable = debug.getmetatable(handle)
        for _, name in ipairs({ "__gc", "__close", "__tostring", "__index", "__newindex" }) do
          if type(metatable[name]) == "function" then
            assert.is_false((pcall(metatable[name], io.stdout, "id", 1)), name)
          end
        end
      end
      assert(chat:append("user", "hello"))
    end)

    it("survives a collection by hand", function()
      local store, _, chat = fresh()
      debug.getmetatable(chat).__gc(chat)
      check.raises("is closed", chat.append, chat, "user", "x")
      debug.getmetatable(store).__gc(store)
      check.raises("is closed", store.user, store, "x")
    end)

    it("raises when a field is assigned, naming update", function()
      local store, alice, chat = fresh()
      for _, field in ipairs({ "title", "id", "metadata", "nonsense", 1 }) do
        check.raises("update", function() chat[field] = "x" end)
      end
      assert.is_false((pcall(function() alice.id = "bob" end)))
      assert.is_false((pcall(function() store.x = 1 end)))
      assert.equal("alice", alice.id)
    end)

    it("gives a fresh copy of metadata at each read", function()
      local _, alice = fresh()
      local chat = assert(alice:create({ metadata = { list = { 1, 2 } } }))
      local first = chat.metadata
      first.list[1] = "changed"
      first.extra = true
      check.same_json({ list = { 1, 2 } }, chat.metadata)
      assert.not_equal(chat.metadata, chat.metadata)
    end)

    it("is closed while an iterator over it is running, and the iterator raises", function()
      local store, _, chat = fresh()
      for i = 1, 5 do
        assert(chat:append("user", tostring(i)))
      end
      check.raises("is closed", function()
        for _ in chat:each() do
          store:close()
        end
      end)
    end)

    it("lets go of what a callback's error interrupts", function()
      local failure = {}
      local store = backend.fresh({ count_tokens = function() error(failure, 0) end })
      local chat = assert(store:user("alice"):conversation("a"))
      for _ = 1, 20 do
        local ok, raised = pcall(chat.append, chat, "user", "hello")
        assert.is_false(ok)
        assert.equal(failure, raised)
      end
      assert.same({}, assert(chat:history()))
      assert(chat:append("user", "hello", { token_count = 1 }))
    end)

    if backend.shared then
      it("reports running out of memory and goes on", function()
        local lua = (os.getenv("CONVSTORE_TEST_LUA") or "") .. (os.getenv("LD_PRELOAD") or "")
        if lua:find("asan", 1, true) then
          return pending("an address sanitizer needs more address space than a limit allows")
        end
        local _, _, chat, database = fresh()
        for _ = 1, 60 do
          assert(chat:append("user", ("x"):rep(1000000)))
        end
        local output = database:run("small_memory", { "a" }, { before = "ulimit -v 60000" })
        assert.equal("false\tnot enough memory\n1000000\n", output)
      end)

      it("leaves nothing behind in Lua's registry when it is closed", function()
      -- Entries of the tables that C code keeps under keys of its own.
      local function kept()
        collectgarbage()
        local n = 0
        for key, value in pairs(debug.getregistry()) do
          if type(key) == "userdata" and type(value) == "table" then
            for _ in pairs(value) do n = n + 1 end
          end
        end
        return n
      end
      local _, database = backend.fresh()
      local before = kept()
      for _ = 1, 20 do -- all there at once, since a new one may lie where a collected one was
        assert(database:open():transaction(function() return true end))
      end
      backends.close()
      assert.equal(before, kept())
    end)

    it("is one of many on the same database", function()
        local _, _, chat, database = fresh()
        local chats = { chat }
        for i = 2, 8 do
          chats[i] = assert(database:open():user("alice"):conversation("a"))
        end
        for round = 1, 3 do
          for i, each in ipairs(chats) do
            assert.equal((round - 1) * 8 + i, assert(each:append("user", "hello")).seq)
          end
        end
      end)
    end

    it("that is closed stops iterators at their next step", function()
      local store = backend.fresh()
      local alice = store:user("alice")
      local chat = assert(alice:conversation("k"))
      assert(chat:append_many({ { role = "user", content = "1" }, { role = "user", content = "2" } }))
      assert(alice:create())
      local message, conversation = chat:each(), alice:conversations()
      assert.equal("1", message().content)
      assert(conversation().id)
      store:close()
      check.raises("closed", message)
      check.raises("closed", conversation)
    end)
  end)
end
