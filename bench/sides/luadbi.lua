-- LuaDBI, with a prepared statement for each text.
local DBI = require "DBI"
local raw = require "sides.raw"

local side = {}

local function open_sqlite(dsn, durability)
  local db = assert(DBI.Connect("SQLite3", dsn))
  db:autocommit(true) -- or it begins by itself, without the write lock
  for _, pragma in ipairs{ "foreign_keys = ON", "secure_delete = ON", "synchronous = " .. durability } do
    assert(assert(db:prepare("PRAGMA " .. pragma)):execute())
  end
  return db
end

-- DSN: postgresql://USER@HOST:PORT/DATABASE
local function open_postgres(dsn)
  local user, host, port, database = dsn:match("^postgresql://(%w+)@([%w.]+):(%d+)/(%w+)$")
  local db = assert(DBI.Connect("PostgreSQL", database, user, "", host, tonumber(port)))
  db:autocommit(true)
  return db
end

function side.open(kind, dsn, schema, durability)
  local db = kind == "sqlite" and open_sqlite(dsn, durability) or open_postgres(dsn)
  local prepared = {}

  local function run(sql, ...)
    local statement = prepared[sql]
    if not statement then
      statement = assert(db:prepare(sql))
      prepared[sql] = statement
    end
    assert(statement:execute(...))
    return statement
  end

  -- A statement that is not at its end holds its snapshot, and there is no other way to reset one.
  local function rows(sql, ...)
    local next_row = run(sql, ...):rows(true)
    return next_row, function()
      repeat until not next_row()
    end
  end

  -- On PostgreSQL each row by itself would be a round trip.
  local rows_at_once = kind == "sqlite" and 1 or 100
  return raw.api({ run = run, rows = rows, rows_at_once = rows_at_once, has_returning = true,
    number = math.tointeger }, kind, schema)
end

return side
