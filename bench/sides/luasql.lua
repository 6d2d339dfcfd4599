-- LuaSQL. It has no parameters: values are escaped into the text, as its manual shows, and every statement is parsed
-- anew.
local raw = require "sides.raw"

local side = {}

local function open_sqlite(dsn, durability)
  local db = assert(require "luasql.sqlite3".sqlite3():connect(dsn))
  for _, pragma in ipairs{ "foreign_keys = ON", "secure_delete = ON", "synchronous = " .. durability } do
    local result = assert(db:execute("PRAGMA " .. pragma))
    if type(result) == "userdata" then result:close() end
  end
  return db
end

function side.open(kind, dsn, schema, durability)
  local db = kind == "sqlite" and open_sqlite(dsn, durability)
    or assert(require "luasql.postgres".postgres():connect(dsn))

  local function fill_in(sql, ...)
    local values, i = { ... }, 0
    return (sql:gsub("%?", function()
      i = i + 1
      local value = values[i]
      return math.type(value) == "integer" and tostring(value) or "'" .. db:escape(value) .. "'"
    end))
  end

  local function run(sql, ...) return assert(db:execute(fill_in(sql, ...))) end

  local function rows(sql, ...)
    local cursor = run(sql, ...)
    local function next_row()
      local row = cursor:fetch({}, "a")
      if not row then cursor:close() end
      return row
    end
    return next_row, function() cursor:close() end
  end

  -- On PostgreSQL everything comes as text.
  local number = kind == "sqlite" and math.tointeger
    or function(text) return math.tointeger(tonumber(text)) end
  -- On SQLite it steps a statement with rows once, resets it and steps again: such an UPDATE is done twice (2.6.0).
  return raw.api({ run = run, rows = rows, rows_at_once = 100, has_returning = kind ~= "sqlite",
    number = number }, kind, schema)
end

return side
