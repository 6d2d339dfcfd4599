-- Several processes on one file: locks, order, and sudden death.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local process = require "spec.support.process"
local shell = require "spec.support.shell"
local system = require "system"

local sqlite = backends.sqlite

describe("processes on one SQLite file #sqlite", function()
  after_each(backends.clean)

  -- Runs n workers that begin at the same moment, each with its name "process<i>" as the last argument.
  local function all_at_once(n, database, job, ...)
    local workers = {}
    for i = 1, n do
      local arguments = { ... }
      arguments[#arguments + 1] = "process" .. i
      workers[i] = database:start(job, arguments)
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
  end

  it("append at the same time without an error and without a gap", function()
    local store, database = sqlite.fresh(nil, true)
    assert(store:user("alice"):conversation("k"))
    all_at_once(4, database, "append", "k", 250)
    local history = assert(assert(store:user("alice"):conversation("k")):history())
    assert.equal(1000, #history)
    local next_of = {}
    for seq, message in ipairs(history) do
      assert(message.seq == seq)
      local name, number = message.content:match("^(%w+):(%d+)$")
      next_of[name] = (next_of[name] or 0) + 1
      assert(next_of[name] == tonumber(number), "a process's own messages are out of order")
    end
    assert.same({ process1 = 250, process2 = 250, process3 = 250, process4 = 250 }, next_of)
    assert.equal("1000\n", database:sql("SELECT last_seq FROM convstore_conversations;"))
  end)

  it("append only what they have seen the history before, where they say so", function()
    local store, database = sqlite.fresh(nil, true)
    local chat = assert(store:user("alice"):conversation("k"))
    all_at_once(4, database, "append_expecting", "k", 20)
    local history = assert(chat:history())
    assert.equal(80, #history)
    for seq, message in ipairs(history) do
      assert.equal(tostring(seq - 1), message.content)
    end
  end)

  it("store once what all of them send with the same ids", function()
    local store, database = sqlite.fresh(nil, true)
    local chat = assert(store:user("alice"):conversation("k"))
    all_at_once(4, database, "append_same", "k", 60)
    local history = assert(chat:history())
    assert.equal(60, #history)
    local seen = {}
    for seq, message in ipairs(history) do
      assert.equal(seq, message.seq)
      assert.is_nil(seen[message.id])
      seen[message.id] = true
    end
    assert.equal(60, assert(chat:refresh()).last_seq)
  end)

  it("merge metadata without losing what another has merged", function()
    local store, database = sqlite.fresh(nil, true)
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    all_at_once(4, database, "merge", "k", 25)
    local expected = {}
    for i = 1, 4 do
      for n = 1, 25 do
        expected[("process%d:%d"):format(i, n)] = n
      end
    end
    check.same_json(expected, assert(chat:message(1)).metadata)
    check.same_json(expected, assert(chat:refresh()).metadata)
  end)

  it("may end without closing anything, and only what was committed is there", function()
    local store, database = sqlite.fresh()
    for _, way in ipairs({ "return", "close", "exit" }) do
      local output, ok, errors = database:start("leave_open", { way }):finish()
      assert.is_true(ok, errors)
      assert.equal("", errors)
      assert.equal("left\n", output)
    end
    assert.equal(3, #assert(assert(store:user("alice"):conversation("k")):history()))
  end)

  it("lose nothing that was acknowledged when one is killed in the middle", function()
    local store, database = sqlite.fresh(nil, true)
    local chat = assert(store:user("alice"):conversation("k"))
    for round = 1, 3 do
      local worker = database:start("append_forever", { "k" })
      local acknowledged = {}
      for _ = 1, 100 * round do
        acknowledged[#acknowledged + 1] = worker:line()
      end
      worker:kill()
      for line in worker:finish():gmatch("[^\n]+") do
        acknowledged[#acknowledged + 1] = line
      end
      for _, line in ipairs(acknowledged) do
        local seq, id = line:match("^(%d+)\t(%S+)$")
        -- The last line may be cut: it was never wholly said.
        if id and #id == 36 then
          assert.equal(id, assert(chat:message(math.tointeger(seq))).id)
        end
      end
      local history = assert(chat:history())
      assert.is_true(#history >= #acknowledged - 1)
      assert.equal(#history, history[#history].seq)
      assert.equal(#history, assert(chat:refresh()).last_seq)
    end
    assert.equal("ok\n", database:sql("PRAGMA integrity_check;"))
  end)

  describe("that wait for a lock", function()
    it("give busy at the timeout, and not before", function()
      local store, database = sqlite.fresh({ timeout = 0.4 }, true)
      local chat = assert(store:user("alice"):conversation("k"))
      assert(chat:append("user", "1"))
      local worker = database:start("hold")
      assert.equal("locked", worker:line())
      local writes = {
        function() return chat:append("user", "2") end,
        function() return store:transaction(function() error("never called") end) end,
        function() return chat:update({ title = "x" }) end,
      }
      for _, write in ipairs(writes) do
        local started = system.monotime()
        check.fails("busy", nil, write())
        local waited = system.monotime() - started
        assert.is_true(waited >= 0.4, "gave up after " .. waited)
        assert.is_true(waited < 2, "gave up only after " .. waited)
      end
      -- Readers never wait for a writer.
      local started = system.monotime()
      assert.equal(1, #assert(chat:history()))
      assert.equal(chat.id, assert(store:user("alice"):conversation("k")).id)
      assert.is_true(system.monotime() - started < 0.3)
      worker:tell("go")
      local _, ok, errors = worker:finish()
      assert.is_true(ok, errors)
      assert.equal(2, assert(chat:append("user", "2")).seq)
    end)

    it("get it when it comes free in time", function()
      local store, database = sqlite.fresh(nil, true)
      assert(store:user("alice"):conversation("k"))
      local worker = database:start("append", { "k", 1, "late" })
      assert.equal("ready", worker:line())
      assert(store:transaction(function()
        worker:tell("go")
        -- That another process waits can't be seen from here; this only makes it likely.
        system.sleep(0.2)
        return true
      end))
      local _, ok, errors = worker:finish()
      assert.is_true(ok, errors)
      assert.equal("late:1", assert(assert(store:user("alice"):conversation("k")):message(1)).content)
    end)

    it("give busy when they open a file that another holds for itself alone", function()
      local store, database = sqlite.fresh(nil, true)
      store:close()
      local holder = process.command(database.folder, "env -u LD_PRELOAD stdbuf -oL sqlite3 -batch "
        .. shell.quote(database.path))
      holder:tell("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; SELECT 'locked';")
      assert.equal("exclusive", holder:line())
      assert.equal("locked", holder:line())
      local started = system.monotime()
      check.fails("busy", nil, database:try_open({ timeout = 0.3 }))
      local waited = system.monotime() - started
      assert.is_true(waited >= 0.3 and waited < 2, tostring(waited))
      holder:finish()
      database:open()
    end)
  end)
end)
