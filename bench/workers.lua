-- The processes of the comparison: one for each side, so that none pays for what another has loaded or left. They are
-- told what to do by a pipe, one at a time, so that the rounds of all sides can be mixed. See sides/worker.lua.
local process = require "spec.support.process"
local shell = require "spec.support.shell"

local workers = {}

local PYTHON = os.getenv("PYTHON") or "/usr/bin/python3" -- Debian's own: its SQLModel is no other's

-- In the order of the tables. `few`: so slow that a round has fewer calls of it.
workers.sides = {
  { name = "plain C", module = "plain_c" },
  { name = "convstore", module = "convstore" },
  { name = "LuaSQL", module = "luasql", needs = { sqlite = "luasql.sqlite3", postgres = "luasql.postgres" } },
  { name = "LuaDBI", module = "luadbi", needs = { sqlite = "dbd.sqlite3", postgres = "dbd.postgresql" } },
  { name = "SQLModel, objects", style = "objects", few = true },
  { name = "SQLModel, queries", style = "queries" },
}

local function runs(command) return (shell.run(command)) end

-- The library of a side that is not there, or nil.
function workers.missing(side, kind)
  local library, there = side.needs and side.needs[kind], true
  if side.style then
    library = "sqlmodel or psycopg2"
    there = runs(PYTHON .. " -c 'import sqlmodel, psycopg2'")
  elseif library then
    there = runs(("%s -e 'require \"%s\"'"):format(arg[-1], library))
  end
  if there then return nil end
  assert(os.getenv("CI") ~= "true", library .. " is missing: tools/install_deps bench")
  return library
end

-- What is compared, with versions: a line for the report.
function workers.versions()
  local _, lua = shell.run(arg[-1] .. [[ -e 'print(require "luasql.sqlite3"._VERSION)']])
  local _, dbi = shell.run("dpkg-query -W -f '${Version}' lua-dbi-common")
  local _, python = shell.run(PYTHON .. [[ -c 'import sys, sqlmodel, sqlalchemy, pydantic, psycopg2, sqlite3
print("SQLModel %s, SQLAlchemy %s, pydantic %s, psycopg2 %s, SQLite %s, Python %s" % (sqlmodel.__version__,
  sqlalchemy.__version__, pydantic.VERSION, psycopg2.__version__.split()[0], sqlite3.sqlite_version,
  sys.version.split()[0]))']])
  return ("%s; LuaDBI (Debian's package %s); %s"):format(lua:gsub("%s+$", ""), dbi:gsub("%s+$", ""),
    python:gsub("%s+$", ""))
end

local worker = {}
worker.__index = worker

-- Starts a side on a database of places.lua. What it appends are the lines of the file workers.texts_path.
function workers.start(folder, side, place)
  local words
  if side.style then
    words = { PYTHON, "-B", "bench/sides/sqlmodel_worker.py", side.style } -- -B: no compiled files beside the sources
  else
    words = { arg[-1], "bench/sides/worker.lua", side.module }
  end
  for _, word in ipairs{ place.kind, place.dsn, place.schema or "-", workers.texts_path } do
    words[#words + 1] = shell.quote(word)
  end
  local self = setmetatable({ side = side, place = place, appended = 0 }, worker)
  self.process = process.command(folder, table.concat(words, " "))
  assert(self.process:line() == "ready")
  return self
end

-- Gives an order and waits for its answer.
function worker:ask(...)
  self.process:tell(table.concat({ ... }, "\t"))
  return self.process:line()
end

-- Plain C has no search: it would be convstore's own, or that of the others.
function worker:does(work)
  return not (self.side.module == "plain_c" and work.key == "search")
end

-- The seconds that one call takes, of n.
function worker:run(n, ...)
  return tonumber(self:ask("run", n, ...)) / n
end

-- By an order: the end of its input does not come while processes that were started later hold the pipe, too.
function worker:stop()
  self.process:tell("quit")
  local _, good, errors = self.process:finish()
  assert(good, errors)
end

return workers
