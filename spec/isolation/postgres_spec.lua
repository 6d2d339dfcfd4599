-- Row-level security against somebody at psql who has the role and another user's ids (raw.lua).
-- spec/postgres_isolation_spec has the plain rules; this is the attack on them.
local attack = require "spec.isolation.attack"
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"
local raw = require "spec.isolation.raw"

if not postgres.is_there() then return end

describe("an attack by raw SQL #postgres", function()
  after_each(backends.clean)

  local function two_databases(options, sql)
    local stores, databases = {}, {}
    for i = 1, 2 do
      local database = backends.postgres.place()
      if sql then database:sql(sql) end
      stores[i], databases[i] = database:open(options), database
    end
    return stores[1], databases[1], stores[2]
  end

  local function expect_nothing(options, sql, more)
    local store, database, elsewhere = two_databases(options, sql)
    local found, n = raw.run(store, database, elsewhere, more)
    assert.same({}, found)
    assert(n > 1000, n .. " answers only")
  end

  it("gives nothing", function() expect_nothing() end)

  it("gives nothing where user ids refer to a table", function()
    expect_nothing({ users = "accounts(id)" }, [[
      CREATE TABLE accounts (id bigint PRIMARY KEY);
      INSERT INTO accounts VALUES (1000001), (1000002), (1000003), (1000004)]],
      { users = { victim = "1000001", attacker = "1000002", twin = "1000003", nobody = "1000004" } })
  end)

  it("gives nothing with a claim as the source of the user", function()
    expect_nothing({ jwt_claim = "sub" }, nil, { claim = "sub" })
  end)

  describe("is seen when", function()
    local function found_with(beforehand)
      local store, database, elsewhere = two_databases()
      return table.concat((raw.run(store, database, elsewhere, { beforehand = function(victim)
        beforehand(database, victim)
      end })), "\n")
    end

    it("a policy is no wall", function()
      local found = found_with(function(database)
        database:sql("CREATE POLICY hole ON convstore.summaries FOR SELECT USING (true)")
      end)
      assert.truthy(found:find("leaked: me: TABLE convstore.summaries", 1, true), found)
      assert.truthy(found:find("leaked: unset: TABLE convstore.summaries", 1, true), found)
      assert.falsy(found:find("have changed", 1, true))
    end)

    it("a table has none", function()
      local found = found_with(function(database)
        database:sql("ALTER TABLE convstore.messages_archive DISABLE ROW LEVEL SECURITY")
      end)
      assert.truthy(found:find("leaked: ", 1, true), found)
      assert.truthy(found:find("rows of the victim's have changed", 1, true), found)
    end)

    it("a row is in the wrong hands", function()
      local found = found_with(function(database, victim)
        database:sql(("INSERT INTO convstore.conversations (user_id, id, title, created_at, updated_at)"
          .. " VALUES ('%s', gen_random_uuid(), 'about %s', now(), now())"):format(attack.USERS.attacker,
          victim.mark))
      end)
      assert.truthy(found:find("leaked: me: ", 1, true), found)
    end)

    it("a function runs as its owner, or a table is new", function()
      local found = found_with(function(database)
        database:sql("CREATE FUNCTION convstore.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
          .. " AS 'SELECT 1'; CREATE TABLE convstore.more (user_id text)")
      end)
      assert.truthy(found:find("peek is attacked by nothing", 1, true), found)
      assert.truthy(found:find("more is attacked by nothing", 1, true), found)
    end)
  end)
end)
