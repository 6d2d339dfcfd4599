-- store:check on what only a file can have: damaged pages, rows that break their tables' rules, a deadline in between.
local backends = require "spec.support.backends"

describe("check of a file #sqlite", function()
  after_each(backends.clean)

  local function filled()
    local store, database = backends.sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local batch = {}
    for i = 1, 2000 do batch[i] = { role = "user", content = ("message %d "):format(i):rep(20) } end
    assert(chat:append_many(batch))
    return store, database, chat
  end

  local function words(problems)
    local found = {}
    for _, problem in ipairs(problems) do found[problem.problem] = (found[problem.problem] or 0) + 1 end
    return found
  end

  it("finds pages that are damaged, and tells what else it can", function()
    local store, database = filled()
    store:close()
    local page = tonumber(database:sql("SELECT max(pageno) FROM dbstat WHERE name = 'convstore_messages';"))
      or assert(tonumber((database:sql("PRAGMA page_count;"))))
    database:sql("PRAGMA wal_checkpoint(TRUNCATE);")
    local file = assert(io.open(database.path, "r+b"))
    assert(file:seek("set", (page - 1) * 4096))
    assert(file:write(("\255"):rep(4096)))
    file:close()
    store = database:open()
    local found = words(assert(store:check()))
    assert.is_true((found.damage or 0) >= 1)
    assert.is_nil(found.more)
  end)

  it("finds rows that break the tables' own rules", function()
    local store, database, chat = filled()
    database:sql("PRAGMA ignore_check_constraints = ON;"
      .. " UPDATE convstore_messages SET role = 'robot' WHERE seq = 7;")
    local problems = assert(store:check())
    assert.same({ damage = 1 }, words(problems))
    assert.truthy(problems[1].detail:find("convstore_messages", 1, true))
    database:sql("UPDATE convstore_messages SET role = 'user';")
    assert.same({}, assert(store:check()))
    assert.equal(2000, assert(chat:refresh()).last_seq)
  end)

  it("says that the table of users is no parent any more", function()
    local database = backends.sqlite.place()
    database:sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY); INSERT INTO accounts VALUES (7);")
    local store = database:open({ users = "accounts(id)" })
    assert(store:user(7):create())
    database:sql("PRAGMA foreign_keys = OFF; DROP TABLE accounts; CREATE TABLE accounts (id INTEGER);")
    local problems = assert(store:check())
    assert.same({ foreign_keys = 1 }, words(problems))
    database:sql("PRAGMA foreign_keys = OFF; DROP TABLE accounts;")
    assert.same({ foreign_keys = 1 }, words(assert(store:check())))
  end)

  it("gives timeout where there is not the time for it, and works the next time", function()
    local store, database = filled()
    local chat = assert(store:user("alice"):conversation("k"))
    for _ = 1, 5 do assert(chat:fork()) end
    local hurried = database:open({ timeout = 0.003 })
    local seen
    for _ = 1, 50 do -- on a quick machine one of them may be in time
      local _, message, code = hurried:check()
      seen = seen or (code and { message = message, code = code })
      if seen then break end
    end
    assert.equal("timeout", seen.code, seen.message)
    assert.truthy(seen.message:find("timeout", 1, true))
    assert.same({}, assert(store:check()))
  end)
end)
