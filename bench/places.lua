-- The two kinds of database that a benchmark of queries runs on, under one interface: a file each on SQLite, a schema
-- each on PostgreSQL. Sections are written once.
local convstore = require "convstore"
local files = require "files"
local twin = require "twin"

local places = {}

local BEFORE_SEARCH = 2 -- the schema's version
-- What a later version has added and all statements name: then nothing but what searches need is missing.
local ARCHIVED_SEQ = "ALTER TABLE {{conversations}} ADD COLUMN archived_seq %s NOT NULL DEFAULT 0"
local URL = os.getenv("CONVSTORE_TEST_POSTGRES_URL")

-- ---- SQLite -------------------------------------------------------------------------------------------------------

local file = {}
file.__index = file

function file:open(durability)
  return assert(convstore.open(self.path, { durability = durability or "normal" }))
end

-- The C side on the same rows; `id` is a conversation's.
function file:twin(id, durability)
  return twin.open(self.path, files.user_id, id, durability or "normal")
end

function file:sql(text)
  local db = twin.sql(self.path)
  local _, value = db:query((text:gsub("{{(%w+)}}", "convstore_%1")))
  db:close()
  return value
end

function file:index_bytes()
  return tonumber((self:sql("SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%convstore_search_%'")))
end

-- After many writes: what the server does by itself in time.
function file:settle() self:sql("PRAGMA wal_checkpoint(TRUNCATE)") end

function file.drop() end -- files.clean removes it

local sqlite = { name = "SQLite", key = "sqlite", full = "full" }

function sqlite.database(name)
  local path = files.fresh(name .. ".db")
  return setmetatable({ path = path, kind = "sqlite", dsn = path }, file)
end

-- Another file of the same bytes.
function file:copy(name)
  local other = sqlite.database(name)
  files.copy(self.path, other.path)
  return other
end

-- A database of the same messages as before there were searches, and the id of its conversation `key`. fill() would
-- write them again.
function sqlite.before_search(database, key)
  database:settle()
  local copy = sqlite.database("before_search")
  files.copy(database.path, copy.path)
  local store = copy:open()
  local id = assert(store:user(files.user_id):conversation(key)).id
  assert(store:migrate(BEFORE_SEARCH))
  store:close()
  copy:sql(ARCHIVED_SEQ:format("INTEGER"))
  return copy, id
end

-- ---- PostgreSQL ---------------------------------------------------------------------------------------------------

local schema = {}
schema.__index = schema

function schema:open()
  return assert(convstore.open(URL, { schema = self.name, migrate = true }))
end

function schema:twin(id)
  local quoted = '"' .. self.name .. '"'
  return require "twin_postgres".open(URL, quoted, files.user_id, id, "pipeline", self.without_search)
end

function schema:sql(text)
  local shell = require "spec.support.psql".new(URL)
  local answer = shell:run((text:gsub("{{(%w+)}}", self.name .. ".%1")))
  shell:close()
  return answer:match("^[^\n]*")
end

function schema:index_bytes()
  local sum = [[SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
    WHERE c.relnamespace = '%s'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'search_%%']]
  return tonumber(self:sql(sum:format(self.name)))
end

function schema:settle() self:sql("VACUUM ANALYZE") end

function schema:drop() self:sql("DROP SCHEMA IF EXISTS " .. self.name .. " CASCADE") end

local postgres = { name = "PostgreSQL", key = "postgres" }

function postgres.database(name)
  local database = setmetatable({ name = "convstore_bench_" .. name, kind = "postgres", dsn = URL }, schema)
  database.schema = database.name
  database:drop() -- what a run that was killed has left
  return database
end

function postgres.before_search(_, key, fill)
  local database = postgres.database("before_search")
  local store = database:open()
  local id = fill(store, key).id
  assert(store:migrate(BEFORE_SEARCH))
  store:close()
  database:sql(ARCHIVED_SEQ:format("bigint"))
  database.without_search = true
  return database, id
end

-- ---- both ---------------------------------------------------------------------------------------------------------

-- Those that there are. PostgreSQL is what tools/with_postgres has started.
function places.all()
  return URL and { sqlite, postgres } or { sqlite }
end

-- Two values, tables by what is in them, at any depth. Raises naming the first difference.
function places.check_same(one, other, where)
  where = where or "the result"
  if type(one) ~= "table" or type(other) ~= "table" then
    assert(one == other, where .. " differs: " .. tostring(one) .. " and " .. tostring(other))
    return
  end
  for key, value in pairs(one) do places.check_same(value, other[key], where .. "." .. tostring(key)) end
  for key in pairs(other) do assert(one[key] ~= nil, where .. "." .. tostring(key) .. " is missing") end
end

return places
