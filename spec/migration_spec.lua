-- The schema's way up and down, as every backend keeps it.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local rows = require "spec.support.rows"

for _, backend in ipairs(backends) do
  describe("migrations " .. backend.tags, function()
    after_each(backends.clean)

    -- All calls that need the schema give `schema`; `chat` is a handle from when it was there, or nil.
    local function needs_schema(store, chat)
      local alice = store:user("alice")
      check.fails("schema", "migrat", alice:create())
      check.fails("schema", "migrat", alice:conversation("k"))
      check.fails("schema", "migrat", alice:get("00000000-0000-7000-8000-000000000000"))
      check.fails("schema", "migrat", alice:list())
      check.fails("schema", "migrat", alice:messages())
      check.fails("schema", "migrat", alice:usage())
      check.fails("schema", "migrat", alice:erase())
      check.fails("schema", "migrat", store:purge({ idle_before = 1 }))
      check.fails("schema", "migrat", store:archive({ idle_before = 1 }))
      check.fails("schema", "migrat", store:users())
      check.fails("schema", "migrat", store:check())
      check.fails("schema", "migrat", store:stats())
      if not backend.name:find("^postgres") then
        check.fails("schema", "migrat", store:backup("/nowhere/copy.db"))
      end
      check.raises("^schema: ", function() return alice:conversations()() end)
      if chat then
        check.fails("schema", "migrat", chat:fork())
        check.fails("schema", "migrat", chat:summarize("x"))
        check.fails("schema", "migrat", chat:append("user", "x"))
        check.fails("schema", "migrat", chat:append_many({ { role = "user", content = "x" } }))
        check.fails("schema", "migrat", chat:history())
        check.fails("schema", "migrat", chat:message(1))
        check.fails("schema", "migrat", chat:context())
        check.fails("schema", "migrat", chat:context_json())
        check.fails("schema", "migrat", chat:update({ title = "x" }))
        check.fails("schema", "migrat", chat:annotate(1, {}))
        check.fails("schema", "migrat", chat:redact(1))
        check.fails("schema", "migrat", chat:delete())
        check.fails("schema", "migrat", chat:restore())
        check.fails("schema", "migrat", chat:purge())
        check.fails("schema", "migrat", chat:refresh())
        check.raises("^schema: ", function() return chat:each()() end)
      end
    end

    it("are all applied to a fresh database", function()
      for _, migrate in ipairs({ "default", true }) do
        local store = backend.fresh({ migrate = migrate ~= "default" and migrate or nil })
        local version, newest = store:schema_version()
        assert.equal("integer", math.type(version))
        assert.equal(newest, version)
        local list = assert(store:migrations())
        assert.equal(newest, #list)
        for i, migration in ipairs(list) do
          assert.equal(i, migration.version)
          assert.equal("string", type(migration.name))
          check.just_now(migration.applied_at)
          assert.equal("string", type(migration.up))
          assert.equal("string", type(migration.down))
        end
        assert.equal("init", list[1].name)
        assert.truthy(list[1].up:find("CREATE TABLE .*messages"))
        assert.truthy(list[1].down:find("DROP TABLE .*messages"))
      end
    end)

    it("are left alone with migrate = false, and can be run by hand", function()
      local store = backend.fresh({ migrate = false })
      local version, newest = store:schema_version()
      assert.equal(0, version)
      assert.is_true(newest >= 1)
      local list = assert(store:migrations())
      assert.equal(newest, #list)
      for _, migration in ipairs(list) do
        assert.is_nil(migration.applied_at)
      end
      needs_schema(store)
      check.fails("schema", "migrat", store:transaction(function() error("never called") end))
      assert.equal(newest, assert(store:migrate()))
      assert.equal(newest, (store:schema_version()))
      assert.equal(1, assert(assert(store:user("alice"):create()):append("user", "x")).seq)
    end)

    it("go down to nothing and up again", function()
      local store = backend.fresh()
      local _, newest = store:schema_version()
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "x"))
      assert.equal(0, assert(store:migrate(0)))
      assert.equal(0, (store:schema_version()))
      needs_schema(store, chat)
      assert.equal(0, assert(store:migrate(0)))
      for _, migration in ipairs(assert(store:migrations())) do
        assert.is_nil(migration.applied_at)
      end
      assert.equal(newest, assert(store:migrate(newest)))
      check.fails("not_found", nil, chat:history())
      assert.equal(0, assert(store:user("alice"):conversation("k")).last_seq)
      assert.equal(newest, assert(store:migrate()))
      assert.equal(newest, assert(store:migrate(newest + 0.0)))
    end)

    it("go to no version that does not exist", function()
      local store = backend.fresh()
      local version, newest = store:schema_version()
      assert.equal(version, newest)
      for _, target in ipairs({ -1, newest + 1, math.maxinteger, math.mininteger }) do
        check.fails("invalid", nil, store:migrate(target))
      end
      for _, wrong in ipairs({ "1", true, {}, 0.5 }) do
        check.argument("#1", store, "migrate", wrong)
      end
      assert.equal(version, (store:schema_version()))
    end)

    if backend.shared then
      it("go from every version to every other, and keep what was said", function()
        local store, database = backend.fresh({ count_tokens = function(text) return #text end })
        local _, newest = store:schema_version()
        local alice = store:user("alice")
        local old = assert(alice:conversation("old"))
        assert(old:append("user", "The weather of last year"))
        assert.equal(1, assert(store:archive({ idle_before = os.time() * 1000 + 3600000 })).messages)
        local chat = assert(alice:conversation("k", { title = "A title", metadata = { a = 1 } }))
        assert(chat:append("user", "What is the weather in Oslo?", { metadata = { n = 1 << 60 } }))
        assert(chat:append({ role = "assistant", tool_calls = {
          { id = "c1", type = "function", ["function"] = { name = "weather", arguments = "{}" } } } }))
        assert(chat:append("tool", "rain", { tool_call_id = "c1" }))
        assert(chat:append("user", "A password"))
        assert(chat:redact(4))
        assert(chat:summarize("They spoke of rain.", { through = 2 }))
        local half = assert(alice:create())
        for i = 1, 3 do assert(half:append("user", "half " .. i)) end
        local deleted = assert(alice:create())
        assert(deleted:append("user", "Never mind the weather"))
        assert(deleted:delete())

        local function seen()
          local answer = { assert(chat:refresh()) and chat.title, chat.metadata, chat.token_count }
          for _, handle in ipairs({ chat, old, half, assert(alice:get(deleted.id, { deleted = true })) }) do
            answer[#answer + 1] = handle.deleted_at or assert(handle:history())
            answer[#answer + 1] = handle.deleted_at or assert(handle:context({ max_tokens = 1000 }))
          end
          for i, hit in ipairs(assert(alice:search("weather"))) do answer["hit " .. i] = hit.message end
          return answer
        end
        local before = seen()
        assert.truthy(before["hit 2"])
        for from = 1, newest do
          for to = 1, newest do
            rows.archive(database, half.id, 2)
            assert.equal(from, assert(store:migrate(from)))
            assert.equal(to, assert(store:migrate(to)))
            local brought_back = math.min(from, to) < 5 -- where a conversation lies in one table
            assert.equal(brought_back and 8 or 6, database:count("messages"))
            assert.equal(brought_back and 1 or 3, database:count("messages_archive"))
            assert.equal(newest, assert(store:migrate()))
            assert.same(before, seen())
            assert.same({}, assert(store:check()))
          end
        end
      end)

      it("are seen by other connections", function()
        local store, database = backend.fresh()
        local other = database:open()
        local chat = assert(other:user("alice"):conversation("k"))
        assert.equal(0, assert(store:migrate(0)))
        needs_schema(other, chat)
        assert.equal(0, (other:schema_version()))
        assert(store:migrate())
        assert.equal(0, assert(other:user("alice"):conversation("k")).last_seq)
      end)

      it("bring down what is open with migrate = false only until they are up", function()
        local store, database = backend.fresh()
        local careful = database:open({ migrate = false })
        local version, newest = careful:schema_version()
        assert.equal(newest, version)
        local chat = assert(careful:user("alice"):conversation("k"))
        assert(chat:append("user", "x"))
        assert(store:migrate(0))
        assert.is_nil((database:try_open({ migrate = false }):user("alice"):create()))
        needs_schema(careful, chat)
      end)

      it("end well when eight processes open an empty database at once", function()
        local database = backend.place()
        local workers = {}
        for i = 1, 8 do
          workers[i] = database:start("open")
        end
        for _, worker in ipairs(workers) do
          assert.equal("ready", worker:line())
        end
        for _, worker in ipairs(workers) do
          worker:tell("go")
        end
        for _, worker in ipairs(workers) do
          local output, ok, errors = worker:finish()
          assert.is_true(ok, errors)
          assert.truthy(output:find("^%d+\t%d+\n$") or output:find("^%d+\n$"), output)
        end
        local store = database:open()
        local version, newest = store:schema_version()
        assert.equal(newest, version)
      end)
    end
  end)
end
