-- One user's handle and everything that there is to know of another's: every method, cursor, fork, search and
-- transaction answers as if the other were not there, and changes nothing of theirs. And if it were otherwise, this
-- would be seen.
local attack = require "spec.isolation.attack"
local attacks = require "spec.isolation.attacks"
local backends = require "spec.support.backends"

local TABLES = [[
  CREATE TABLE accounts (id BIGINT PRIMARY KEY);
  INSERT INTO accounts VALUES (1000001), (1000002), (1000003);]]
local NUMBERS = { victim = "1000001", attacker = "1000002", twin = "1000003" }

for _, backend in ipairs(backends) do
  describe("an attack by methods " .. backend.tags, function()
    after_each(backends.clean)

    -- A store, its database, and a store of another database.
    local function two_databases(options, sql)
      local places = {}
      for i = 1, 2 do
        if sql then
          local database = backend.place()
          database:sql(sql)
          places[i] = { database:open(options), database }
        else
          places[i] = { backend.fresh(options) }
        end
      end
      return places[1][1], places[1][2], places[2][1]
    end

    local function expect_nothing(options, sql, users)
      local store, database, elsewhere = two_databases(options, sql)
      local found, n = attack.run(store, database, elsewhere, { users = users })
      assert.same({}, found)
      assert(n > 1000, n .. " answers only")
    end

    if not backend.shared then return end -- plain SQL sees no database in memory

    it("gives nothing", function() expect_nothing() end)

    -- The other entries are the same databases by other doors.
    if backend.name ~= "sqlite" and backend.name ~= "postgres" then return end

    it("gives nothing where user ids refer to a table", function()
      expect_nothing({ users = "accounts(id)" }, TABLES, NUMBERS)
    end)

    if backend.name == "postgres" then
      it("gives nothing with a claim as the source of the user", function()
        expect_nothing({ jwt_claim = "sub" })
      end)

      it("gives nothing without a role and without prepared statements", function()
        local store, database, elsewhere = two_databases()
        store:close()
        elsewhere:close()
        store = database:open({ role = false, prepare = false })
        assert.same({}, (attack.run(store, database, backend.fresh({ role = false }))))
      end)
    end

    describe("is seen when", function()
      it("a method forgets whose handle it is", function()
        local store, database, elsewhere = two_databases()
        local core = require "convstore.core"
        local get = core.user.get
        finally(function() core.user.get = get end)
        local victim = store:user(attack.USERS.victim)
        core.user.get = function(_, ...) return get(victim, ...) end
        local found = table.concat((attack.run(store, database, elsewhere)), "\n")
        assert.truthy(found:find("leaked: get", 1, true), found)
        assert.truthy(found:find("for what is there", 1, true), found)
      end)

      it("a row is in the wrong hands", function()
        local store, database, elsewhere = two_databases()
        local found = attack.run(store, database, elsewhere, { beforehand = function(victim)
          database:sql(("UPDATE %s SET title = 'the secret of %s' WHERE user_id = '%s';"):format(
            database:table("conversations"), victim.mark, attack.USERS.attacker))
        end })
        assert.truthy(table.concat(found):find("leaked: ", 1, true), found[1])
      end)

      it("something of the victim's changes", function()
        local store, database, elsewhere = two_databases()
        local found = attack.run(store, database, elsewhere, { meanwhile = function()
          database:sql(("UPDATE %s SET token_count = token_count + 1 WHERE user_id = '%s' AND seq = 1;")
            :format(database:table("messages"), attack.USERS.victim))
        end })
        assert.same({ "rows of the victim's have changed" }, found)
      end)

      it("a method is new", function()
        local core = require "convstore.core"
        finally(function() core.user.peek, core.conversation.peek, core.store.peek = nil, nil, nil end)
        core.user.peek, core.conversation.peek, core.store.peek = print, print, print
        assert.same({ "conversation:peek", "store:peek", "user:peek" }, attacks.missing())
      end)
    end)
  end)
end
