-- What the schema needs of a PostgreSQL server and leaves there: roles, schemas of any name, other people's tables.
local convstore = require "convstore"
local system = require "system"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"

if not postgres.is_there() then return end

local postgresql, owner = backends.postgres, backends.postgres_owner

local HOST = [[
  CREATE TABLE public.users (id bigint PRIMARY KEY, name text NOT NULL);
  INSERT INTO public.users VALUES (7, 'Ann'), (8, 'Bob');
  CREATE TABLE public.tasks (id serial PRIMARY KEY, owner bigint REFERENCES public.users (id), what text,
    done boolean NOT NULL DEFAULT false);
  INSERT INTO public.tasks (owner, what) VALUES (7, 'write'), (8, 'read');
  CREATE INDEX ON public.tasks (owner) WHERE NOT done;
  ALTER TABLE public.tasks ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON public.tasks USING (owner = current_setting('app.user', true)::bigint);
  CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.touch();
  COMMENT ON TABLE public.users IS 'the host''s own';]]

-- Another program's view of the database, or nil where its pg_dump is older than the server.
local function pg_dump(database, options)
  local ok, output = shell.run(("%s %s %s"):format(psql.program("pg_dump"), options or "",
    shell.quote(database.admin_url)))
  if not ok and output:find("version mismatch", 1, true) then
    return nil
  end
  assert(ok, output)
  -- Since its fixes of 2025 pg_dump marks its output with a random key.
  return (output:gsub("\\u?n?restrict %w+\n", ""))
end

describe("migrations on PostgreSQL #postgres", function()
  after_each(backends.clean)

  it("leave the host's tables byte for byte as they were", function()
    local database = postgresql.place()
    database:sql(HOST)
    local all = pg_dump(database)
    if not all then
      return pending("pg_dump is older than the server")
    end
    local tables = pg_dump(database, "-t public.users -t public.tasks")
    for _, options in ipairs({ {}, { users = "users(id)" } }) do
      local store = database:open(options)
      assert.equal(tables, pg_dump(database, "-t public.users -t public.tasks"))
      local chat = assert(store:user(7):conversation("k"))
      assert(chat:append("user", "x"))
      assert(store:migrate(0))
      assert(store:migrate())
      assert(assert(store:user(7):conversation("k")):append("user", "x"))
      assert.equal(tables, pg_dump(database, "-t public.users -t public.tasks"))
      assert(store:migrate(0))
      assert.equal(all, pg_dump(database))
      store:close()
    end
  end)

  it("make the same schema whatever the way up", function()
    local database = postgresql.place()
    local store = database:open()
    local first = pg_dump(database, "--schema-only")
    if not first then
      return pending("pg_dump is older than the server")
    end
    local _, newest = store:schema_version()
    for version = newest - 1, 0, -1 do
      assert.equal(version, assert(store:migrate(version)))
    end
    for version = 1, newest do
      assert.equal(version, assert(store:migrate(version)))
    end
    assert.equal(first, pg_dump(database, "--schema-only"))
  end)

  it("leave a schema that was there already, and what else is in it", function()
    local database = postgresql.place()
    database:sql([[
      CREATE SCHEMA convstore; CREATE TABLE convstore.host (a int); INSERT INTO convstore.host VALUES (1)]])
    local before = database:dump()
    local store = database:open()
    assert(assert(store:user("alice"):create()):append("user", "x"))
    assert.equal(0, assert(store:migrate(0)))
    assert.equal(before, database:dump())
  end)

  it("refuse tables of our names that are not ours, and change nothing", function()
    for _, name in ipairs({ "conversations", "messages", "messages_archive", "summaries", "settings" }) do
      local database = postgresql.place()
      database:sql("CREATE SCHEMA convstore; CREATE TABLE convstore." .. name .. " (a int)")
      local before = database:dump()
      check.fails("schema", nil, database:try_open())
      check.fails("schema", nil, database:try_open({ migrate = true }))
      assert.equal(before, database:dump())
    end
  end)

  it("refuse an edited step and a newer schema, and change nothing", function()
    local database = postgresql.place()
    database:open():close()
    for _, edit in ipairs({
      "UPDATE convstore.migrations SET checksum = '0000000000000000'",
      "UPDATE convstore.migrations SET name = 'other'",
      "INSERT INTO convstore.migrations"
        .. " SELECT 999, 'future', checksum, applied_at FROM convstore.migrations LIMIT 1",
      "DROP TABLE convstore.migrations",
    }) do
      database:sql("DROP SCHEMA IF EXISTS convstore CASCADE")
      database:open():close()
      database:sql(edit)
      local before = database:dump()
      check.fails("schema", nil, database:try_open())
      check.fails("schema", nil, database:try_open({ migrate = true }))
      local store = assert(database:try_open({ migrate = false }), edit)
      check.fails("schema", nil, store:user("alice"):create())
      check.fails("schema", nil, store:migrate())
      store:close()
      assert.equal(before, database:dump())
    end
  end)

  it("say what to do about an older schema", function()
    local database = postgresql.place()
    local store = database:open({ migrate = false })
    check.fails("schema", "convstore migrate up", store:user("alice"):create())
  end)

  it("wait for a lock no longer than the timeout", function()
    local database = postgresql.place()
    local store = database:open({ timeout = 0.5 })
    local holder = psql.new(database.admin_url)
    finally(function() holder:close() end)
    holder:run("BEGIN; LOCK TABLE convstore.messages IN ACCESS SHARE MODE")
    local value, _, code = store:migrate(0)
    assert.is_nil(value)
    assert.is_true(code == "busy" or code == "timeout", code)
    holder:run("ROLLBACK")
    assert.equal(0, assert(store:migrate(0)))
  end)

  it("are listed with the SQL that psql takes", function()
    local database = postgresql.place()
    local store = database:open()
    local list = assert(store:migrations())
    local before = database:dump()
    -- Down and up by hand, in the way that an administrator would.
    store:close()
    local body = {}
    for i = #list, 1, -1 do body[#body + 1] = list[i].down end
    for i = 1, #list do body[#body + 1] = list[i].up end
    local ok, message = pcall(database.sql, database,
      "BEGIN;\n" .. table.concat(body, "\n;\n") .. "\n;ROLLBACK;")
    assert.is_true(ok, message)
    assert.equal(before, database:dump())
  end)
end)

describe("the roles of row-level security #postgres", function()
  local made = {}

  -- Names that no one has used; the roles are dropped after the test.
  local function names()
    local suffix = convstore.uuid():sub(-12)
    made[#made + 1] = suffix
    return { role = "spec_user_" .. suffix, operator_role = "spec_operator_" .. suffix }
  end

  local admin

  before_each(function()
    admin = postgresql.place()
  end)

  after_each(function()
    local roles = {}
    for _, suffix in ipairs(made) do
      roles[#roles + 1] = "'spec_user_" .. suffix .. "', 'spec_operator_" .. suffix .. "'"
    end
    made = {}
    local dropped = #roles > 0 and table.concat(roles, ", ")
    local server = admin
    local url = server.admin_url
    backends.clean()
    if dropped then
      local last = psql.new(url)
      last:run(("SELECT format('DROP ROLE %%I', rolname) FROM pg_roles WHERE rolname IN (%s) \\gexec"):format(
        dropped))
      last:close()
    end
  end)

  it("are made by the first migration, without a login or any right of their own", function()
    local options = names()
    local database = postgresql.place()
    local store = database:open(options)
    assert(assert(store:user("alice"):create()):append("user", "x"))
    assert.equal("f|f|f|f|f|f\nf|f|f|f|f|f\n", database:sql(([[
      SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles
       WHERE rolname IN ('%s', '%s')]]):format(options.role, options.operator_role)))
    -- They own nothing.
    assert.equal("0\n", database:sql(
      ("SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = '%s'"):format(options.role)))
    assert(store:migrate(0))
    assert(store:migrate())
  end)

  if owner then
    it("are made by an owner that may make roles, and taken on by it", function()
      local options = names()
      local database = owner.place()
      local store = database:open(options)
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "x"))
      assert.equal(1, #assert(chat:history()))
      -- FORCE binds the owner of the tables, too.
      local own = postgres.shell(database, "bot_owner")
      finally(function() own:close() end)
      assert.equal("0\n", own:run("SELECT count(*) FROM convstore.messages"))
      assert.equal("1\n", database:sql("SELECT count(*) FROM convstore.messages"))
      assert.equal(0, assert(store:migrate(0)))
    end)
  end

  it("are asked of an administrator where the login may not make them", function()
    local options = names()
    local database = postgresql.place()
    local login = "bot_plain"
    database:sql("GRANT CREATE ON DATABASE " .. database.server_database.name .. " TO " .. login)
    finally(function()
      admin:sql("REVOKE CREATE ON DATABASE " .. database.server_database.name .. " FROM " .. login)
    end)
    database.dsn = database.dsn:gsub("//[^@]*@", "//" .. login .. "@")
    local before = database:dump()
    local _, message = check.fails("denied", "CREATE ROLE", database:try_open(options))
    assert.equal(before, database:dump())
    -- The administrator runs what the message says.
    local statements = {}
    for statement in message:gmatch('"([CG]R[^"]+)"') do
      statements[#statements + 1] = statement
    end
    assert.equal(2, #statements, message)
    admin:sql(table.concat(statements, ";"))
    local store = database:open(options)
    assert.equal(1, assert(assert(store:user("alice"):create()):append("user", "x")).seq)
    store:close()
    -- A membership that was taken away is missed with the same clarity.
    admin:sql(("REVOKE %s FROM %s"):format(options.role, login))
    local again = database:try_open(options)
    if again then
      check.fails("denied", "GRANT " .. options.role, again:user("alice"):create())
    end
  end)

  it("are not needed with role = false", function()
    local database = postgresql.place()
    local login = "bot_plain"
    database:sql("GRANT CREATE ON DATABASE " .. database.server_database.name .. " TO " .. login)
    finally(function()
      admin:sql("REVOKE CREATE ON DATABASE " .. database.server_database.name .. " FROM " .. login)
    end)
    database.dsn = database.dsn:gsub("//[^@]*@", "//" .. login .. "@")
    local options = names()
    local store = database:open({ role = false, operator_role = options.operator_role })
    assert.equal(1, assert(assert(store:user("alice"):create()):append("user", "x")).seq)
    assert.equal(0, assert(store:migrate(0)))
  end)

  if owner then
    it("may be granted to the same login by somebody who sets up another database meanwhile", function()
      if tonumber(admin:sql("SHOW server_version_num;")) >= 160000 then
        return pending("since PostgreSQL 16 a login grants only roles whose ADMIN option it was given")
      end
      local options = names()
      admin:sql(("CREATE ROLE %s NOLOGIN; CREATE ROLE %s NOLOGIN"):format(options.role,
        options.operator_role))
      local database = owner.place()
      local other = psql.new(database.admin_url)
      finally(function() other:close() end)
      other:run(("BEGIN; GRANT %s, %s TO bot_owner"):format(options.role, options.operator_role))
      local worker = database:start("open", { "", options.role, options.operator_role })
      assert.equal("ready", worker:line())
      worker:tell("go")
      local deadline = system.monotime() + 60
      repeat
        assert(system.monotime() < deadline, "it never waited for the other's grant")
        local waiting = admin:sql(([[SELECT count(*) FROM pg_stat_activity WHERE datname = '%s'
          AND wait_event_type = 'Lock']]):format(database.server_database.name))
      until waiting == "1\n"
      other:run("COMMIT")
      local _, ok, errors = worker:finish()
      assert.is_true(ok, errors)
      assert(assert(database:open(options):user("alice"):create()):append("user", "x"))
    end)
  end

  it("may be made by eight processes at once", function()
    local options = names()
    local database = postgresql.place()
    local workers = {}
    for i = 1, 8 do
      workers[i] = database:start("open", { "", options.role, options.operator_role })
    end
    for _, worker in ipairs(workers) do
      assert.equal("ready", worker:line())
    end
    for _, worker in ipairs(workers) do
      worker:tell("go")
    end
    for _, worker in ipairs(workers) do
      local _, ok, errors = worker:finish()
      assert.is_true(ok, errors)
    end
    assert.equal("2\n", database:sql(("SELECT count(*) FROM pg_roles WHERE rolname IN ('%s', '%s')"):format(
      options.role, options.operator_role)))
    local version, newest = database:open(options):schema_version()
    assert.equal(newest, version)
  end)
end)

describe("the schema option #postgres", function()
  after_each(backends.clean)

  it("takes any name that PostgreSQL takes", function()
    local database = postgresql.place()
    for i, name in ipairs({ "Bot", "my bot", "a\"b", "it's", "select", "ünïcöde", "$1", "%s %I", "{{schema}}",
      "{{role}}", "a.b", "\\", ("x"):rep(63), "--", "public" }) do
      local store = database:open({ schema = name })
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "message " .. i))
      assert(chat:annotate(1, { a = 1 }))
      assert.equal("message " .. i, assert(chat:message(1)).content)
      assert.equal(1, assert(store:user("alice"):conversation("k")).last_seq)
      assert.equal(name .. "\n", database:sql(("SELECT nspname FROM pg_namespace WHERE nspname = %s"):format(
        "E'" .. name:gsub("[\\']", "\\%0") .. "'")))
      -- The same again, by another handle.
      assert.equal(chat.id, assert(database:open({ schema = name }):user("alice"):conversation("k")).id)
      assert.equal(0, assert(store:migrate(0)))
      store:close()
    end
    -- Only public was there before us.
    assert.equal("public\n", database:sql(
      "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"))
  end)

  it("keeps schemas of one database apart", function()
    local database = postgresql.place()
    local one, two = database:open({ schema = "one" }), database:open({ schema = "two" })
    local chat = assert(one:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    check.fails("not_found", nil, two:user("alice"):get(chat.id))
    assert.equal(0, assert(two:migrate(0)))
    assert.equal(1, #assert(chat:history()))
  end)

  it("is refused where it can be no name", function()
    local database = postgresql.place()
    for _, name in ipairs({ "", ("x"):rep(64), "\255", "a\0b", ("é"):rep(32) }) do
      check.fails("invalid", "schema", database:try_open({ schema = name }))
    end
    for _, name in ipairs({ "pg_mine", "information_schema", "pg_catalog" }) do
      local store, message, code = database:try_open({ schema = name })
      assert.is_nil(store)
      assert.is_true(code == "invalid" or code == "schema" or code == "denied", name .. ": " .. message)
    end
    check.argument("schema", database.try_open, database, { schema = 5 })
    check.argument("role", database.try_open, database, { role = true })
    check.argument("prepare", database.try_open, database, { prepare = 5 })
    check.fails("invalid", "prepare", database:try_open({ prepare = "always" }))
    check.argument("jwt_claim", database.try_open, database, { jwt_claim = 5 })
  end)
end)

describe("the users option on PostgreSQL #postgres", function()
  after_each(backends.clean)

  local KINDS = {
    text = { "text", "ann", "bob", wrong = {} },
    uuid = { "uuid", "0190b5a0-0000-7000-8000-000000000001", "0190b5a0-0000-7000-8000-000000000002",
      wrong = { "ann", "0190B5A0-0000-7000-8000-000000000001", "0190b5a0000070008000000000000001",
        "{0190b5a0-0000-7000-8000-000000000001}", "7" } },
    bigint = { "bigint", "7", "-9223372036854775808",
      wrong = { "07", "+7", " 7", "x", "9223372036854775808", "1e3", "7.0" } },
  }

  for name, kind in pairs(KINDS) do
    it("refers to a column of " .. name, function()
      local database = postgresql.place()
      database:sql(([[
        CREATE TABLE accounts (id %s PRIMARY KEY);
        INSERT INTO accounts VALUES ('%s'), ('%s')]]):format(kind[1],
        kind[2], kind[3]))
      local store = database:open({ users = "accounts(id)" })
      for _, id in ipairs({ kind[2], kind[3] }) do
        local chat = assert(store:user(id):conversation("k"))
        assert.equal(id, chat.user_id)
        assert(chat:append("user", "x"))
        assert(chat:annotate(1, { a = 1 }))
        assert(store:user(id):get(chat.id))
      end
      for _, wrong in ipairs(kind.wrong) do
        check.fails("invalid", nil, store:user(wrong):conversation("k"))
        check.fails("invalid", nil, store:user(wrong):get("0190b5a0-0000-7000-8000-000000000001"))
      end
      assert.equal(name .. "\n", database:sql([[
        SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attname = 'user_id' AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
           AND attrelid IN ('convstore.messages'::regclass, 'convstore.conversations'::regclass,
                            'convstore.messages_archive'::regclass, 'convstore.summaries'::regclass)]]))
      -- Security holds for this type as well: unset, empty, and another's.
      for _, user in ipairs({ "", kind[3] }) do
        assert.equal(user == "" and "0\n" or "1\n", database:sql(([[
          BEGIN; SET LOCAL ROLE convstore_user; SET LOCAL convstore.user_id = '%s';
          SELECT count(*) FROM convstore.messages; ROLLBACK]]):format(user)))
      end
      database:sql(("DELETE FROM accounts WHERE id = '%s'"):format(kind[2]))
      check.fails("not_found", nil, store:user(kind[2]):conversation("k"))
      assert.equal("1|1\n", database:sql(
        "SELECT (SELECT count(*) FROM convstore.conversations), (SELECT count(*) FROM convstore.messages)"))
      -- What is read from the schema, without the option, is the same.
      assert(database:open():user(kind[3]):conversation("k"))
    end)
  end

  it("refers to a table in another schema, and to names that need quotes", function()
    local database = postgresql.place()
    database:sql([[
      CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY);
      INSERT INTO auth.users VALUES ('0190b5a0-0000-7000-8000-000000000001');
      CREATE TABLE public."User" ("Id" bigint UNIQUE); INSERT INTO public."User" VALUES (7)]])
    local store = database:open({ users = "auth.users(id)", schema = "one" })
    assert(store:user("0190b5a0-0000-7000-8000-000000000001"):create())
    store = database:open({ users = '"User"("Id")', schema = "two" })
    assert(store:user(7):create())
  end)

  it("refuses what cannot be referred to, and makes nothing", function()
    local database = postgresql.place()
    database:sql([[
      CREATE TABLE accounts (id bigint, weight real UNIQUE, born date PRIMARY KEY);
      CREATE VIEW seen AS SELECT * FROM accounts;]])
    local before = database:dump()
    for _, users in ipairs({ "accounts(id)", "accounts(weight)", "accounts(born)", "seen(id)", "nobody(id)",
      "accounts(nothing)" }) do
      local store, message, code = database:try_open({ users = users })
      assert.is_nil(store, users)
      assert.is_true(code == "invalid" or code == "schema" or code == "unsupported", users .. ": " .. message)
    end
    assert.equal(before, database:dump())
  end)

  it("waits for the users table's lock no longer than the timeout", function()
    local database = postgresql.place()
    database:sql("CREATE TABLE accounts (id bigint PRIMARY KEY)")
    local holder = psql.new(database.admin_url)
    finally(function() holder:close() end)
    holder:run("BEGIN; LOCK TABLE accounts IN ROW EXCLUSIVE MODE")
    local store, _, code = database:try_open({ users = "accounts(id)", timeout = 0.5 })
    assert.is_nil(store)
    assert.is_true(code == "busy" or code == "timeout", code)
    holder:run("ROLLBACK")
    assert(database:open({ users = "accounts(id)" }))
  end)
end)
