-- store:check on what only a server can have: row-level security, constraints and triggers that were changed, roles.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"
local problems = require "spec.support.problems"

local assert_sound, assert_found = problems.assert_sound, problems.assert_found

if not postgres.is_there() then return end

describe("check of a server #postgres", function()
  after_each(backends.clean)

  local SECURED = { "conversations", "messages", "messages_archive", "search_postings", "search_runs",
    "search_segments", "summaries" }

  local function fresh(options)
    local store, database = backends.postgres.fresh(options)
    assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
    return store, database
  end

  it("finds tables that row-level security does not guard", function()
    local store, database = fresh()
    for _, name in ipairs(SECURED) do
      for _, case in ipairs({
        { "ALTER TABLE %s DISABLE ROW LEVEL SECURITY", "ALTER TABLE %s ENABLE ROW LEVEL SECURITY",
          "switched off on " },
        { "ALTER TABLE %s NO FORCE ROW LEVEL SECURITY", "ALTER TABLE %s FORCE ROW LEVEL SECURITY",
          "does not bind the owner of " },
        { "ALTER POLICY " .. name .. "_user ON %s RENAME TO another",
          "ALTER POLICY another ON %s RENAME TO " .. name .. "_user", "the policy " },
        { "ALTER POLICY " .. name .. "_user ON %s USING (true)", "ALTER POLICY " .. name
          .. "_user ON %s USING (user_id = NULLIF(current_setting('convstore.user_id', true), ''))",
          "the policy " },
        { "ALTER POLICY " .. name .. "_user ON %s WITH CHECK (user_id = current_setting('convstore.user_id')"
          .. " OR user_id = 'x')", "ALTER POLICY " .. name
          .. "_user ON %s WITH CHECK (user_id = NULLIF(current_setting('convstore.user_id', true), ''))",
          "the policy " },
        { "ALTER POLICY " .. name .. "_user ON %s TO convstore_user", "ALTER POLICY " .. name
          .. "_user ON %s TO PUBLIC", "the policy " },
      }) do
        database:sql(case[1]:format("convstore." .. name))
        assert_found(store, "rls_missing", nil, case[3] .. name)
        database:sql(case[2]:format("convstore." .. name))
        assert_sound(store)
      end
    end
    database:sql("DROP POLICY summaries_operator ON convstore.summaries")
    assert_found(store, "rls_missing", nil, "the policy summaries_operator is missing")
  end)

  it("tells whether row-level security binds what normal calls run as", function()
    local store, database = fresh()
    assert_sound(store)
    assert_found(database:open({ role = false }), "rls_bypassed", nil,
      "^row%-level security does not bind postgres")
    local role = "spec_bypass_" .. convstore.uuid():sub(-12)
    database:sql(("CREATE ROLE %s NOLOGIN BYPASSRLS; GRANT USAGE ON SCHEMA convstore TO %s;"
      .. " GRANT ALL ON ALL TABLES IN SCHEMA convstore TO %s"):format(role, role, role))
    finally(function()
      database:sql(("DROP OWNED BY %s; DROP ROLE %s"):format(role, role))
    end)
    assert_found(database:open({ role = role }), "rls_bypassed", nil, "does not bind " .. role)
  end)

  it("says of a table that is gone what helps", function()
    local store, database = fresh()
    database:sql("DROP TABLE convstore.summaries")
    for _, failed in ipairs({ table.pack(store:check()), table.pack(database:open():check()) }) do
      assert.is_nil(failed[1])
      assert.equal("schema", failed[3])
      assert.truthy(failed[2]:find("something that convstore made is gone", 1, true), failed[2])
      assert.falsy(failed[2]:find("migrate up", 1, true), failed[2])
    end
  end)

  it("finds constraints that are missing or not validated, and indexes that are not valid", function()
    local store, database = fresh()
    store:close()
    local list = database:sql([[
      SELECT conname, conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
       WHERE connamespace = 'convstore'::regnamespace AND contype = 'f' ORDER BY 1]])
    local n = 0
    store = database:open()
    for name, table_name, definition in list:gmatch("([^|\n]+)|([^|\n]+)|([^\n]+)\n") do
      database:sql(("ALTER TABLE %s DROP CONSTRAINT %s"):format(table_name, name))
      assert_found(store, "schema", nil, ("the constraint %s is missing"):format(name))
      database:sql(("ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID"):format(table_name, name, definition))
      assert_found(store, "schema", nil, ("the constraint %s is not validated"):format(name))
      database:sql(("ALTER TABLE %s VALIDATE CONSTRAINT %s"):format(table_name, name))
      assert_sound(store)
      n = n + 1
    end
    assert.equal(7, n)
    database:sql("ALTER TABLE convstore.search_postings DROP CONSTRAINT search_postings_pkey")
    assert_found(store, "schema", nil, "the constraint search_postings_pkey is missing")
    database:sql("ALTER TABLE convstore.search_postings ADD CONSTRAINT search_postings_pkey"
      .. " PRIMARY KEY (user_id, segment_id, bucket)")
    database:sql("UPDATE pg_index SET indisvalid = false"
      .. " WHERE indexrelid = 'convstore.messages_pinned_idx'::regclass")
    assert_found(store, "schema", nil, "the index messages_pinned_idx is not valid")
    database:sql("REINDEX INDEX convstore.messages_pinned_idx")
    assert_sound(store)
  end)

  it("finds foreign keys that are switched off", function()
    local store, database = fresh()
    database:sql("ALTER TABLE convstore.messages DISABLE TRIGGER ALL")
    assert_found(store, "foreign_keys", nil, "the foreign key messages_conversation_id_fkey is switched off")
    database:sql("ALTER TABLE convstore.messages ENABLE TRIGGER ALL")
    assert_sound(store)
  end)

  it("has nothing to say of an installation with a claim, other types of ids and another schema", function()
    for _, options in ipairs({
      { jwt_claim = "sub" },
      { users = "accounts(id)" },
      { users = "people(id)", schema = "Zoë's" },
    }) do
      local database = backends.postgres.place()
      database:sql("CREATE TABLE accounts (id bigint PRIMARY KEY); INSERT INTO accounts VALUES (7);"
        .. "CREATE TABLE people (id uuid PRIMARY KEY);"
        .. "INSERT INTO people VALUES ('054e1df3-35e0-4bb8-a585-607dbdcd24e0');")
      local store = database:open(options)
      local user = store:user(options.users == "people(id)" and "054e1df3-35e0-4bb8-a585-607dbdcd24e0" or 7)
      assert(assert(user:conversation("k")):append("user", "x"))
      assert_sound(store)
    end
  end)

  it("and all else over all users is denied to a login that may not", function()
    local store, database = fresh()
    database:sql("GRANT convstore_user TO bot_guest")
    finally(function() database:sql("REVOKE convstore_user, convstore_operator FROM bot_guest") end)
    store:close()
    database.dsn = database.dsn:gsub("//[^@]*@", "//bot_guest@", 1)
    local guest = database:open()
    assert(guest:user("alice"):conversation("k"))
    for _, method in ipairs({ "check", "stats", "users" }) do
      check.fails("denied", "convstore_operator", guest[method](guest))
    end
    assert.equal(1, assert(assert(guest:user("alice"):conversation("k")):history())[1].seq)
    database:sql("GRANT convstore_operator TO bot_guest")
    assert_sound(guest)
    assert.equal(1, assert(guest:stats()).messages)
    assert.equal(1, #assert(guest:users()))
    -- Without a role it would see nothing, and says so.
    database:sql("GRANT USAGE ON SCHEMA convstore TO bot_guest;"
      .. " GRANT ALL ON ALL TABLES IN SCHEMA convstore TO bot_guest")
    local bare = database:open({ role = false })
    for _, method in ipairs({ "check", "stats", "users" }) do
      check.fails("denied", "convstore_operator", bare[method](bare))
    end
    local idle = { idle_before = os.time() * 1000 + 3600000 }
    for _, method in ipairs({ "purge", "archive" }) do
      check.fails("denied", "convstore_operator", bare[method](bare, idle))
    end
    assert.equal(1, database:count("messages"))
    database:sql("REVOKE ALL ON SCHEMA convstore FROM bot_guest;"
      .. " REVOKE ALL ON ALL TABLES IN SCHEMA convstore FROM bot_guest")
  end)
end)

describe("check by a plain owner #postgres", function()
  after_each(backends.clean)

  it("has nothing to say of a fresh store", function()
    local owner
    for _, backend in ipairs(postgres.backends(function() end)) do
      if backend.name == "postgres_owner" then owner = backend end
    end
    if not owner then return pending("there is no such login") end
    -- From PostgreSQL 16 on, who did not make a role cannot join it.
    local _, database = backends.postgres.fresh()
    database:sql("GRANT convstore_user, convstore_operator TO bot_owner")
    local url = os.getenv("CONVSTORE_TEST_POSTGRES_OWNER_URL")
    local schema = "spec_" .. convstore.uuid():sub(-12)
    local store <close> = assert(convstore.open(url, { schema = schema }))
    finally(function()
      local again <close> = assert(convstore.open(url, { schema = schema }))
      assert(again:migrate(0))
    end)
    assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
    assert.same({}, assert(store:check()))
    assert.equal(1, assert(store:stats()).messages)
    assert.equal("alice", assert(store:users())[1].user_id)
  end)
end)
