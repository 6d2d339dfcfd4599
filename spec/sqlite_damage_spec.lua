-- Files that are no database, or no longer a whole one: refused or reported, never changed, never a crash.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local random = require "spec.support.random"
local shell = require "spec.support.shell"

local sqlite = backends.sqlite

describe("a file that is no database #sqlite", function()
  after_each(backends.clean)

  local source = random.new(1)
  local garbage = {
    ["of random bytes"] = source:bytes(8192),
    ["of text"] = ("This is my shopping list.\n"):rep(400),
    ["of a few bytes"] = "hello",
    ["of two bytes"] = "xy", -- SQLite itself takes one byte for none: it once wrote one into empty files
    ["of zeros"] = ("\0"):rep(4096),
    ["with a header that lies"] = "SQLite format 3\0" .. source:bytes(4080),
    ["that is another program's"] = "\x7FELF" .. ("\0"):rep(5000),
  }

  for name, bytes in pairs(garbage) do
    it(name .. " gives corrupt and stays as it is", function()
      local database = sqlite.place()
      shell.write(database.path, bytes)
      for _, options in ipairs({ {}, { migrate = true }, { migrate = false }, { readonly = true } }) do
        check.fails("corrupt", "bot%.db", database:try_open(options))
      end
      assert.is_true(shell.read(database.path) == bytes)
      assert.is_false(shell.exists(database.path .. "-wal"))
      assert.is_false(shell.exists(database.path .. "-journal"))
    end)
  end
end)

describe("a damaged database #sqlite", function()
  after_each(backends.clean)

  local N = 400

  local function filled()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k", { title = "T", metadata = { a = 1 } }))
    local batch = {}
    for i = 1, N do
      batch[i] = { role = "user", content = ("message %d "):format(i):rep(20), metadata = { i = i } }
    end
    assert(chat:append_many(batch))
    store:close()
    return database, assert(shell.read(database.path))
  end

  -- Reads and writes what it can. Every failure has to be one of `codes`; returns how many there were.
  local function use(database, codes)
    local failures = 0
    local function see(value, message, code)
      if not value then
        failures = failures + 1
        assert(codes[code], ("%s: %s"):format(tostring(code), tostring(message)))
        assert(message:sub(1, #code + 2) == code .. ": ")
      end
      return value
    end
    local store = see(database:try_open())
    local chat = store and see(store:user("alice"):conversation("k"))
    if chat then
      see(chat:history())
      see(chat:history({ limit = 5 }))
      see(chat:message(N // 2))
      see(chat:append("user", "one more"))
      see(chat:annotate(N // 3, { b = 2 }))
      see(chat:update({ metadata = { c = 3 }, merge = true }))
      local ok, message = pcall(function()
        for _ in chat:each() do -- luacheck: ignore
        end
      end)
      see(ok or nil, message, not ok and message:match("^[%a_]+"))
    end
    if store then
      store:close()
    end
    return failures
  end

  it("that was cut short gives corrupt", function()
    local database, bytes = filled()
    for _, part in ipairs({ 0.2, 0.5, 0.9 }) do
      local size = math.floor(#bytes * part / 4096) * 4096
      shell.write(database.path, bytes:sub(1, size))
      assert.is_true(use(database, { corrupt = true }) > 0, tostring(part))
    end
  end)

  it("with pages of rubbish gives corrupt and nothing worse", function()
    local database, bytes = filled()
    local failures = 0
    for seed = 1, 25 do
      local source = random.new(seed)
      local damaged = bytes
      for _ = 1, source:int(1, 6) do
        local page = source:int(1, #bytes // 4096 - 1)
        damaged = damaged:sub(1, page * 4096) .. source:bytes(4096) .. damaged:sub((page + 1) * 4096 + 1)
      end
      shell.write(database.path, damaged)
      failures = failures + use(database, { corrupt = true, schema = true, not_found = true,
        conflict = true })
    end
    assert.is_true(failures > 0)
  end)

  it("with single wrong bytes gives what can be read, or says what is wrong", function()
    local database, bytes = filled()
    for seed = 1, 40 do
      local source = random.new(seed)
      local at = source:int(100, #bytes)
      shell.write(database.path, bytes:sub(1, at - 1) .. source:bytes(1) .. bytes:sub(at + 1))
      use(database, { corrupt = true, schema = true, not_found = true, conflict = true })
    end
  end)

  it("whose rows break our rules gives corrupt", function()
    for _, edit in ipairs({
      "UPDATE convstore_messages SET role = 'robot' WHERE seq = 7",
      "UPDATE convstore_messages SET id = 'x' WHERE seq = 7",
      "UPDATE convstore_conversations SET status = 'odd'",
      "UPDATE convstore_conversations SET id = upper(id)",
      "UPDATE convstore_conversations SET metadata = 'x'",
      "UPDATE convstore_settings SET user_id_type = 'x'",
      "DELETE FROM convstore_settings",
    }) do
      local database = filled()
      database:sql("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; " .. edit .. ";")
      assert.is_true(use(database, { corrupt = true }) > 0, edit)
    end
  end)

  it("whose JSON was broken by hand gives corrupt for that message alone", function()
    local database = filled()
    database:sql([[PRAGMA ignore_check_constraints = ON;
      UPDATE convstore_messages SET metadata = '{"a":' WHERE seq = 7;]])
    local chat = assert(database:open():user("alice"):conversation("k"))
    check.fails("corrupt", nil, chat:message(7))
    check.fails("corrupt", nil, chat:history())
    assert.equal(8, assert(chat:message(8)).seq)
    assert.equal(5, #assert(chat:history({ limit = 5 })))
  end)
end)
