-- The users option: user ids that refer to a table of the bot's own.
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the users option " .. backend.tags, function()
      after_each(backends.clean)

      local function host(sql)
        local database = backend.place()
        database:sql(sql)
        return database
      end

      local INTEGERS = [[
        CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO accounts VALUES (7, 'Ann'), (-8, 'Bob');]]
      local TEXTS = [[
        CREATE TABLE members (login TEXT PRIMARY KEY);
        INSERT INTO members VALUES ('ann'), ('07'), ('Zoë');]]

      it("refers to an integer column by the integer's own text", function()
        local database = host(INTEGERS)
        local store = database:open({ users = "accounts(id)" })
        for _, id in ipairs({ 7, "7", -8, "-8" }) do
          local chat = assert(store:user(id):conversation("k"))
          assert.equal(tostring(id), chat.user_id)
          assert(chat:append("user", "x"))
        end
        assert.equal(2, assert(store:user(7):conversation("k")).last_seq)
        for _, id in ipairs({ "07", "+7", " 7", "7 ", "7.0", "0x7", "1e3", "x", "-0", "--8", "-",
          "9223372036854775808", "-9223372036854775809", "99999999999999999999999" }) do
          local bad = store:user(id)
          check.fails("invalid", nil, bad:create())
          check.fails("invalid", nil, bad:conversation("k"))
          check.fails("invalid", nil, bad:get("00000000-0000-7000-8000-000000000000"))
        end
        assert.equal(2, database:count("conversations"))
        assert.equal(4, database:count("messages"))
      end)

      it("refers to a text column by any text", function()
        local database = host(TEXTS)
        local store = database:open({ users = "members(login)" })
        for _, id in ipairs({ "ann", "07", "Zoë" }) do
          assert.equal(id, assert(store:user(id):conversation("k")).user_id)
        end
        check.fails("not_found", "Ann", store:user("Ann"):create())
        check.fails("not_found", "7", store:user(7):create())
      end)

      it("refers to a UUID column by lower-case UUIDs", function()
        local id = "054e1df3-35e0-4bb8-a585-607dbdcd24e0"
        local database = host("CREATE TABLE people (id UUID PRIMARY KEY);")
        database:sql("INSERT INTO people VALUES ('" .. id .. "');")
        local store = database:open({ users = "people(id)" })
        assert.equal(id, assert(store:user(id):conversation("k")).user_id)
        for _, wrong in ipairs({ id:upper(), "7", "x", (id:gsub("-", "")), id .. " " }) do
          check.fails("invalid", nil, store:user(wrong):create())
        end
        check.fails("not_found", nil, store:user("054e1df3-35e0-4bb8-a585-607dbdcd24e1"):create())
      end)

      if backend.main_schema then
        it("may name the main schema, and no other", function()
          local database = host(INTEGERS)
          check.fails("invalid", "users", database:try_open({ users = "temp.accounts(id)" }))
          assert(database:open({ users = "main.accounts(id)" }):user(7):create())
          assert(database:open({ users = "accounts(id)" }):user(7):create())
        end)
      end

      it("gives not_found for a user whom the table does not have, and makes nothing", function()
        local database = host(INTEGERS)
        local store = database:open({ users = "accounts(id)" })
        local before = database:dump()
        check.fails("not_found", "5", store:user(5):create())
        check.fails("not_found", "5", store:user(5):conversation("k"))
        check.fails("not_found", nil, store:user(5):get("00000000-0000-7000-8000-000000000000"))
        check.fails("not_found", nil, store:transaction(function()
          assert(store:user(7):create())
          return store:user(5):create()
        end))
        assert.equal(before, database:dump())
        database:sql("INSERT INTO accounts VALUES (5, 'Eve');")
        assert(store:user(5):create())
      end)

      it("deletes what a deleted user had, and nothing else", function()
        local database = host(INTEGERS)
        local store = database:open({ users = "accounts(id)" })
        local ann, bob = assert(store:user(7):conversation("k")), assert(store:user(-8):conversation("k"))
        assert(ann:append("user", "x"))
        assert(bob:append("user", "y"))
        database:sql("DELETE FROM accounts WHERE id = 7;")
        check.fails("not_found", nil, ann:history())
        check.fails("not_found", nil, ann:append("user", "x"))
        assert.equal("-8\n", database:sql("SELECT user_id FROM " .. database:table("conversations") .. ";"))
        assert.equal("-8\n", database:sql("SELECT user_id FROM " .. database:table("messages") .. ";"))
        assert.equal("y", assert(bob:message(1)).content)
      end)

      it("never alters the table that it refers to", function()
        local database = host(INTEGERS .. TEXTS)
        local before = database:dump()
        local store = database:open({ users = "accounts(id)" })
        assert(assert(store:user(7):create()):append("user", "x"))
        assert(assert(store:user(7):create()):purge())
        assert.equal("2\n", database:sql("SELECT count(*) FROM accounts;"))
        assert(store:migrate(0))
        store:close()
        assert.equal(before, database:dump())
      end)

      it("is remembered: the same again opens, another gives schema", function()
        local database = host(INTEGERS .. TEXTS)
        local first = database:open({ users = "accounts(id)" })
        assert(first:user(7):conversation("k"))
        assert(database:open({ users = "accounts(id)" }):user(7):conversation("k"))
        check.fails("schema", "accounts", database:try_open({ users = "members(login)" }))
        check.fails("schema", "accounts", database:try_open({ users = "accounts(name)" }))
        local plain = host(INTEGERS)
        assert(plain:open():user("anybody"):conversation("k"))
        check.fails("schema", nil, plain:try_open({ users = "accounts(id)" }))
      end)

      it("applies to a schema that is made by hand", function()
        local database = host(INTEGERS)
        local store = database:open({ users = "accounts(id)", migrate = false })
        assert(store:migrate())
        check.fails("not_found", nil, store:user(5):create())
        assert(store:user(7):create())
        assert(store:migrate(0))
        assert(store:migrate())
        check.fails("not_found", nil, store:user(5):create())
        check.fails("invalid", nil, store:user("07"):create())
      end)

      it("gives invalid for what is not TABLE(COLUMN), and makes nothing", function()
        local database = host(INTEGERS)
        local before = database:dump()
        for _, users in ipairs({ "", "accounts", "accounts()", "(id)", "accounts(id", "accounts id)",
          "accounts(id)x", "accounts(id)(id)", "accounts(id); DROP TABLE accounts; --", "accounts(id, name)",
          "accounts(id) --", "acc\0ounts(id)", ("a"):rep(1000) .. "(id)",
          "accounts(" .. ("a"):rep(1000) .. ")", "accounts(\"id\"); --" }) do
          check.fails("invalid", "users", database:try_open({ users = users }))
        end
        assert.equal(before, database:dump())
      end)

      it("gives a failure that names them where the table or the column is missing, and makes nothing",
        function()
        local database = host(INTEGERS)
        local before = database:dump()
        for _, users in ipairs({ "nobody(id)", "accounts(nothing)" }) do
          local store, message, code = database:try_open({ users = users })
          assert.is_nil(store)
          assert.truthy(code == "invalid" or code == "schema", code)
          assert.truthy(message:find(users:match("%((%a+)%)"), 1, true) or message:find(users:match("^%a+"),
            1, true), message)
        end
        assert.equal(before, database:dump())
      end)

      it("refuses a column that can't be referred to, and makes nothing", function()
        local database = host(
          ("CREATE TABLE accounts (id INTEGER, weight REAL PRIMARY KEY, picture %s UNIQUE);")
          :format(backend.bytes))
        local before = database:dump()
        for _, column in ipairs({ "id", "weight", "picture" }) do
          local store, message, code = database:try_open({ users = "accounts(" .. column .. ")" })
          assert.is_nil(store, column)
          assert.truthy(code == "invalid" or code == "schema" or code == "unsupported",
            column .. ": " .. tostring(message))
        end
        assert.equal(before, database:dump())
      end)
    end)
  end
end
