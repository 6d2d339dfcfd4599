-- What the soak run's steps act on: a database, the stores that stay open on it, and what a step expects of a call.
-- Nothing that a step makes is kept from one step to the next but by the database, so at rest this process owns the
-- same whatever has run: what grows is a leak.
local convstore = require "convstore"
local psql = require "spec.support.psql"
local random = require "spec.support.random"
local shell = require "spec.support.shell"

local world = {}
world.__index = world

local FEW = 6 -- users, and keys of each
local LONG = 60 -- messages, after which a conversation is purged

-- Every method of every handle, counted: a method that no step calls would be soaked in nothing.
-- By "handle:method" how many calls there were, and how many failed or raised.
function world.count_methods()
  local core = require "convstore.core"
  local counts = {}
  for _, handle in ipairs({ "store", "user", "conversation" }) do
    for name, method in pairs(core[handle]) do
      local count = { calls = 0, failures = 0 }
      local function note(ok, first, ...)
        count.calls = count.calls + 1
        if not ok or first == nil and (...) ~= nil then count.failures = count.failures + 1 end
        if not ok then error(first, 0) end
        return first, ...
      end
      counts[handle .. ":" .. name] = count
      core[handle][name] = function(...) return note(pcall(method, ...)) end
    end
  end
  return counts
end

-- How the database's stores are opened. Some more of PostgreSQL's doors, where there are any.
local function doors_of(dsn)
  local name = dsn:match("^%a+://[^/]*/([^?]*)")
  local doors = { dsn }
  if not name then return doors end
  for _, variable in ipairs({ "CONVSTORE_TEST_POSTGRES_SOCKET_URL", "CONVSTORE_TEST_PGBOUNCER_URL" }) do
    local url = os.getenv(variable)
    doors[#doors + 1] = url and url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1) or nil
  end
  return doors
end

-- `backend`: "sqlite" or "postgres"; the database is there and empty. `folder` is free for use.
function world.new(backend, dsn, folder, seed)
  local self = setmetatable({ backend = backend, dsn = dsn, folder = folder, random = random.new(seed),
    seed = seed, events = 0, lost = 0, doors = doors_of(dsn) }, world)
  self.main = assert(convstore.open(dsn, { timeout = 60, slow_ms = 1, durability = "normal",
    log = function() self.events = self.events + 1 end }))
  self.other = self:open_other()
  self.hasty = assert(convstore.open(dsn, { timeout = 0.02 + (backend == "postgres" and 0.03 or 0) }))
  if backend == "postgres" then
    self.admin = psql.new(dsn)
  end
  return self
end

-- The second store, which steps reopen in ever other ways.
function world:open_other()
  local options = { timeout = 60, text = self.random:pick({ "strict", "replace" }),
    durability = self.random:pick({ "full", "normal" }) }
  if self.backend == "postgres" then options.prepare = self.random:pick({ "auto", false }) end
  if self.random:chance(50) then
    options.count_tokens = function(message)
      if message.name == "raise" then error("no count") end
      return #(type(message.content) == "string" and message.content or "x")
    end
  end
  return assert(convstore.open(self.random:pick(self.doors), options))
end

function world:user(store)
  return (store or self.main):user("user " .. self.random:int(1, FEW))
end

-- One of the lasting conversations; one that has become long is begun anew.
function world:chat(store)
  local user = self:user(store)
  local key = "key " .. self.random:int(1, FEW)
  local chat = assert(user:conversation(key))
  if chat.last_seq > LONG then
    assert(chat:purge())
    chat = assert(user:conversation(key))
  end
  return chat, user
end

-- The same with some messages in it, one of each kind.
function world:full_chat(store)
  local chat, user = self:chat(store)
  if chat.last_seq < 8 then
    assert(chat:append_many({
      { role = "system", content = "be brief" },
      { role = "user", content = "paper jam " .. self.random:text(40), name = "ann",
        metadata = { big = 1 << 62 } },
      { role = "assistant", tool_calls = { { id = "c1", type = "function",
        ["function"] = { name = "manual", arguments = '{"page":3}' } } } },
      { role = "tool", content = "page 3", tool_call_id = "c1" },
      { role = "user", content = { { type = "text", text = "look" },
        { type = "image_url", image_url = { url = "https://example.org/a.png" } } } },
      { role = "assistant", content = self.random:text(200), attachments = { { url = "file:a", size = 5 } } },
      { role = "developer", content = "" },
      { role = "user", content = ("long "):rep(self.random:int(1, 2000)) },
    }))
  end
  return chat, user
end

-- The call must fail with one of the codes, which stand with spaces between them.
function world.fails(codes, ...)
  local first, message, code = ...
  local expected = " " .. codes .. " "
  if first ~= nil or type(code) ~= "string" or not expected:find(" " .. code .. " ", 1, true) then
    error(("expected a failure (%s), got %s %s %s"):format(codes, tostring(first), tostring(message),
      tostring(code)), 2)
  end
end

-- The call must raise an error with these words.
function world.raises(words, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok or not tostring(message):find(words, 1, true) then
    error(("expected an error with %q, got %s"):format(words, tostring(message)), 2)
  end
end

-- Cuts every connection of this database: as when the server restarts.
function world:lose_connections()
  if not self.admin then return end
  local answer = self.admin:run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    .. " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()")
  -- A warning may come first: that a process was gone before it could be ended.
  self.lost = self.lost + tonumber(answer:match("(%d+)\n$"))
end

function world:close()
  for _, name in ipairs({ "main", "other", "hasty" }) do
    self[name]:close()
    self[name] = nil
  end
  if self.admin then self.admin:close() end
end

function world.missing_id()
  return (convstore.uuid():gsub("^%x%x%x%x", "ffff", 1))
end

world.far = 4102444800000 -- 2100: everything is older
world.remove_file = function(path)
  for _, suffix in ipairs({ "", "-wal", "-shm" }) do
    if shell.exists(path .. suffix) then assert(os.remove(path .. suffix)) end
  end
end

return world
