-- Disks that are full and folders that may not be written to, for real: small file systems of the kernel's memory,
-- and a process without root's powers. Where the machine allows neither, the test says so.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local shell = require "spec.support.shell"

local sqlite = backends.sqlite

local mounted = {}

local function clean()
  -- First the stores: a file system in use can't be unmounted.
  backends.close()
  for _, folder in ipairs(mounted) do
    assert(shell.run("umount " .. shell.quote(folder)))
  end
  mounted = {}
  backends.clean()
end

-- A database on a file system of its own of `size`, or nil and the reason why not.
local function small_disk(size)
  local database = sqlite.place()
  local folder = database.folder .. "/disk"
  assert(require("lfs").mkdir(folder))
  local ok, output = shell.run(("mount -t tmpfs -o size=%s tmpfs %s"):format(size, shell.quote(folder)))
  if not ok then
    return nil, "a file system can't be mounted here: " .. output
  end
  mounted[#mounted + 1] = folder
  database.path = folder .. "/bot.db"
  database.dsn = database.path
  database.disk = folder
  return database
end

local function remount(database, how)
  assert(shell.run(("mount -o remount,%s %s"):format(how, shell.quote(database.disk))))
end

describe("a full disk #sqlite", function()
  after_each(clean)

  it("gives full, loses nothing, and is over when there is room again", function()
    local database, reason = small_disk("2m")
    if not database then return pending(reason) end
    local worker = database:start("fill")
    assert.truthy(worker:line():find("^full\tfull: "))
    local stored = tonumber(worker:line())
    assert.is_true(stored > 10)
    assert.equal(tostring(stored), worker:line())
    remount(database, "size=20m")
    worker:tell("go on")
    local output, ok, errors = worker:finish()
    assert.is_true(ok, errors)
    assert.equal("1\n", output)
    assert.equal(("%d|%d|%d\n"):format(stored + 1, stored + 1, stored + 1), database:sql(
      "SELECT count(*), max(seq), (SELECT last_seq FROM convstore_conversations) FROM convstore_messages;"))
    assert.equal("ok\n", database:sql("PRAGMA integrity_check;"))
  end)

  it("that has no room for the schema gives full from open, and leaves no half of it", function()
    local database, reason = small_disk("40k")
    if not database then return pending(reason) end
    local output = database:run("try")
    assert.truthy(output:find("^open\tfull\tfull: "), output)
    remount(database, "size=2m")
    assert.equal("appended", database:run("try"):match("^%a+"))
  end)

  it("in a transaction gives full, and the transaction is undone", function()
    local database, reason = small_disk("2m")
    if not database then return pending(reason) end
    local store = database:open()
    local chat = assert(store:user("alice"):conversation("k"))
    local code
    local result = store:transaction(function()
      local ok, message
      for _ = 1, 500 do
        ok, message, code = chat:append("user", ("x"):rep(20000))
        if not ok then
          return ok, message, code
        end
      end
      return true
    end)
    assert.is_nil(result)
    assert.equal("full", code)
    assert.same({}, assert(chat:history()))
    remount(database, "size=20m")
    assert.equal(1, assert(chat:append("user", "x")).seq)
  end)

  it("in a transaction leaves it only the way back, whatever its function makes of it", function()
    local database, reason = small_disk("2m")
    if not database then return pending(reason) end
    local store = database:open()
    local chat = assert(store:user("alice"):conversation("k"))
    local failures = {}
    local result, message, code = store:transaction(function()
      for _ = 1, 500 do
        local stored, _, failure = chat:append("user", ("x"):rep(20000))
        if not stored then
          failures[#failures + 1] = failure
        end
      end
      return "all is well"
    end)
    assert.is_nil(result)
    assert.equal("full", failures[1])
    assert.truthy(code == "unavailable" or code == "full", tostring(message))
    assert.same({}, assert(chat:history()))
    assert.equal("0\n", database:sql("SELECT count(*) FROM convstore_messages;"))
  end)

  it("of which a process may use only so much gives full too", function()
    local database = sqlite.place()
    local worker = database:start("fill", {}, { before = "trap '' XFSZ && ulimit -f 2000" })
    assert.truthy(worker:line():find("^full\tfull: "))
    local stored = tonumber(worker:line())
    assert.is_true(stored > 10)
    assert.equal(tostring(stored), worker:line())
    worker:kill()
    worker:finish()
    assert.equal(("%d\n"):format(stored), database:sql("SELECT count(*) FROM convstore_messages;"))
    assert.equal("ok\n", database:sql("PRAGMA integrity_check;"))
  end)
end)

describe("a process without files to open #sqlite", function()
  after_each(clean)

  it("gets unavailable from open", function()
    local database = sqlite.place()
    database:open():close()
    local output = database:run("starve", {}, { before = "ulimit -n 64" })
    assert.truthy(output:find("^unavailable\tunavailable: [^\n]*\nappended\n$"), output)
  end)
end)

describe("a place that can't be written to #sqlite", function()
  after_each(clean)

  local NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"

  -- Runs the job `try` without root's powers; what it printed, or nil and the reason why that is impossible.
  local function try_as_nobody(database)
    if not shell.is_root() then
      return database:run("try")
    elseif not shell.run(NOBODY .. " test -r spec/support/worker.lua") then
      return nil, "this checkout is not readable without root's powers"
    end
    return database:run("try", {}, { as = NOBODY })
  end

  local function filled()
    local store, database = sqlite.fresh()
    assert(assert(store:user("alice"):conversation("try")):append("user", "1"))
    store:close()
    assert(shell.run(("chmod 755 %s && chmod 644 %s"):format(shell.quote(database.folder),
      shell.quote(database.path))))
    return database
  end

  it("because its folder belongs to others gives readonly for a new file", function()
    local database = sqlite.place()
    assert(shell.run("chmod 555 " .. shell.quote(database.folder)))
    local output, reason = try_as_nobody(database)
    assert(shell.run("chmod 755 " .. shell.quote(database.folder)))
    if not output then return pending(reason) end
    assert.truthy(output:find("^open\treadonly\treadonly: "), output)
    assert.is_false(shell.exists(database.path))
  end)

  it("because the file belongs to others gives readonly for a write, and stays as it is", function()
    local database = filled()
    local before = shell.read(database.path)
    local output, reason = try_as_nobody(database)
    if not output then return pending(reason) end
    assert.truthy(output:find("^%a+\treadonly\treadonly: "), output)
    assert.is_true(before == shell.read(database.path))
  end)

  it("because its folder may not even be entered gives denied", function()
    local database = filled()
    assert(shell.run("chmod 700 " .. shell.quote(database.folder)))
    local output, reason = try_as_nobody(database)
    if not output then return pending(reason) end
    assert.truthy(output:find("^open\tdenied\tdenied: "), output)
  end)

  it("because the file may not even be read gives denied", function()
    local database = filled()
    assert(shell.run("chmod 600 " .. shell.quote(database.path)))
    local output, reason = try_as_nobody(database)
    if not output then return pending(reason) end
    assert.truthy(output:find("^open\tdenied\tdenied: "), output)
  end)

  it("because its file system is read-only gives readonly, for a new file and for an old one", function()
    local database, reason = small_disk("2m")
    if not database then return pending(reason) end
    remount(database, "ro")
    check.fails("readonly", nil, database:try_open())
    remount(database, "rw")
    local store = database:open()
    assert(assert(store:user("alice"):conversation("k")):append("user", "1"))
    store:close()
    remount(database, "ro")
    local code
    local message
    store, message, code = database:try_open()
    if store then
      local chat
      chat, message, code = store:user("alice"):conversation("new")
      assert.is_nil(chat)
      store:close()
    end
    check.fails("readonly", nil, nil, message, code)
  end)
end)
