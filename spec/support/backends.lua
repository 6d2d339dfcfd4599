-- Which databases the contract is tested on. A new backend is one more entry; the specs do not change.
-- CONVSTORE_TEST_BACKENDS names the entries to test, with spaces between them; without it: see DEFAULT.
-- fresh(options) gives a new store in an empty database of its own, and a `database` for what a test needs beside it.
-- Call clean() after each test: it closes every store that was opened here and removes what lay below.
local convstore = require "convstore"
local shell = require "spec.support.shell"
local process = require "spec.support.process"
local postgres = require "spec.support.postgres"

local DEFAULT = "sqlite sqlite_memory postgres"

local database = {}
database.__index = database

local opened = {} -- databases of the running test

local function new(dsn, folder)
  local self = setmetatable({ dsn = dsn, folder = folder, stores = {} }, database)
  opened[#opened + 1] = self
  return self
end

-- Opens the same database once more; the results of convstore.open.
function database:try_open(options)
  local store, message, code = convstore.open(self.dsn, options)
  if store then
    self.stores[#self.stores + 1] = store
  end
  return store, message, code
end

function database:open(options)
  return assert(self:try_open(options))
end

-- Closes what is open and opens again: what is read then was really stored.
function database:reopen(options)
  for _, store in ipairs(self.stores) do
    store:close()
  end
  return self:open(options)
end

-- A worker process (spec/support/worker.lua), whose first argument is this database's DSN.
function database:start(job, arguments, options)
  local all = { self.dsn }
  for _, argument in ipairs(arguments or {}) do
    all[#all + 1] = argument
  end
  return process.start(self.folder, job, all, options)
end

-- Runs a worker to its good end; what it printed.
function database:run(job, arguments, options)
  local output, ok, errors = self:start(job, arguments, options):finish()
  if not ok then
    error(("the worker %s failed: %s%s"):format(job, output, errors), 2)
  end
  return output
end

-- What the database's own shell answers to `sql`: what a person who looks in sees.
function database:sql(sql)
  local script = self.folder .. "/script.sql"
  shell.write(script, ".timeout 10000\n.bail on\nPRAGMA foreign_keys = ON;\n" .. sql .. "\n")
  -- An address sanitizer that was preloaded for Lua would judge the shell as well.
  local ok, output = shell.run(("env -u LD_PRELOAD sqlite3 -batch %s <%s"):format(shell.quote(self.path),
    shell.quote(script)))
  if not ok then
    error("sqlite3: " .. output, 2)
  end
  return output
end

-- What a table of ours is called in SQL.
function database.table(_, name)
  return "convstore_" .. name
end

function database:count(name)
  return tonumber(self:sql("SELECT count(*) FROM " .. self:table(name) .. ";"))
end

-- Makes 5 ms after 1970 the time of every conversation's last write.
function database:backdate()
  self:sql("UPDATE " .. self:table("conversations") .. " SET updated_at = 5;")
end

-- seq has no gaps, counters are right, no message is there twice or in the wrong table, nothing speaks of messages that
-- are not there: judged by plain SQL.
function database:assert_sound()
  local sql = [[
    SELECT c.id, c.last_seq, count(m.id), max(m.seq), c.token_count, sum(m.token_count)
      FROM conversations AS c LEFT JOIN (
        SELECT user_id, conversation_id, id, seq, role, token_count, token_total, 0 AS archived
          FROM messages
        UNION ALL
        SELECT user_id, conversation_id, id, seq, role, token_count, token_total, 1
          FROM messages_archive) AS m
        ON m.user_id = c.user_id AND m.conversation_id = c.id
     GROUP BY c.user_id, c.id
    HAVING c.last_seq <> count(m.id) OR c.last_seq <> coalesce(max(m.seq), 0)
        OR count(m.id) <> count(DISTINCT m.id) OR c.token_count <> coalesce(sum(m.token_count), 0)
        OR c.pinned_token_count <> coalesce(sum(
          CASE WHEN m.role IN ('system', 'developer') THEN m.token_count END), 0)
        OR c.token_count - c.pinned_token_count <> coalesce(max(m.token_total), 0)
        OR coalesce(sum(m.archived), 0) <> c.archived_seq
        OR coalesce(max(m.archived * m.seq), 0) <> c.archived_seq;
    SELECT c.id, s.through FROM conversations AS c JOIN summaries AS s
        ON s.user_id = c.user_id AND s.conversation_id = c.id WHERE s.through > c.last_seq;
    SELECT c.id, r.last_seq FROM conversations AS c JOIN search_runs AS r
        ON r.user_id = c.user_id AND r.conversation_id = c.id WHERE r.last_seq > c.last_seq;]]
  local broken = self:sql((sql:gsub("([FJ]%u+) ([a-z_]+)", function(keyword, name)
    return keyword .. " " .. self:table(name)
  end)))
  if broken ~= "" then
    error("these conversations are broken: " .. broken, 2)
  end
end

-- Everything that is stored, as text.
function database:dump()
  return self:sql(".dump")
end

-- Waits for what a process that was killed has left under way: nothing is, in a file.
function database:settle()
  return self
end

-- Keeps everyone else from writing, until release() of what it returns.
function database:hold()
  local worker = self:start("hold")
  assert(worker:line() == "locked")
  return {
    release = function()
      worker:tell("go")
      worker:finish()
    end,
  }
end

local sqlite = {
  name = "sqlite",
  tags = "#sqlite #backend",
  shared = true, -- a second connection, from here or from another process, sees the same data
  one_writer = true, -- a transaction keeps every other from beginning
  main_schema = true, -- a table may be called main.TABLE
  bytes = "BLOB", -- the type of a column of bytes
}

-- A database file that does not exist yet, in a folder of its own; `on_disk`: a real one, whatever it costs.
function sqlite.place(name, on_disk)
  local folder = shell.folder(on_disk)
  local path = folder .. "/" .. (name or "bot.db")
  local self = new(path, folder)
  self.path = path
  return self
end

function sqlite.fresh(options, on_disk)
  local self = sqlite.place(nil, on_disk)
  return self:open(options), self
end

local memory = {
  name = "sqlite_memory",
  tags = "#sqlite #memory #backend",
  shared = false,
}

function memory.fresh(options)
  local self = new(":memory:", shell.folder())
  return self:open(options), self
end

-- By number those to test, by name all.
local backends = { sqlite = sqlite }

local function add(backend)
  backends[backend.name] = backend
  for name in (os.getenv("CONVSTORE_TEST_BACKENDS") or DEFAULT):gmatch("%S+") do
    if name == backend.name then
      backends[#backends + 1] = backend
    end
  end
end

add(sqlite)
add(memory)
for _, backend in ipairs(postgres.backends(new)) do
  add(backend)
end

function backends.close()
  for _, self in ipairs(opened) do
    for _, store in ipairs(self.stores) do
      store:close()
    end
  end
end

function backends.clean()
  backends.close()
  for _, self in ipairs(opened) do
    if self.discard then
      self:discard()
    end
    shell.remove(self.folder)
  end
  opened = {}
end

return backends
