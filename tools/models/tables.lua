-- Markdown tables of fields, constraints, indexes and rows, from what tools/models/schema.lua read. Both databases must
-- have the same tables and columns: where they do not, it raises.
local tables = {}

local KINDS = { p = "PK", u = "UNIQUE", f = "FK", c = "CHECK" }
local ORDER = { p = 1, u = 2, f = 3, c = 4 }

local function cell(value)
  return value and value ~= "" and (value:gsub("|", "\\|")) or ""
end

local function code(value)
  return value and value ~= "" and "`" .. cell(value) .. "`" or ""
end

local function sorted_names(constraints)
  local names = {}
  for name in pairs(constraints) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    local one, other = ORDER[constraints[a].kind], ORDER[constraints[b].kind]
    if one ~= other then
      return one < other
    end
    return a < b
  end)
  return names
end

-- The two forms of a table, of which the columns' names agree.
local function pair(sqlite, postgres, name)
  local one, other = sqlite[name], postgres[name]
  if not one or not other then
    error("a database has no table " .. name, 0)
  end
  local by_name = {}
  for _, column in ipairs(one.columns) do
    by_name[column.name] = column
  end
  return one, other, by_name
end

-- What binds a column, in short: the definitions stand in constraints().
local function bonds_of(column, postgres, sqlite)
  local bonds = {}
  for _, name in ipairs(sorted_names(postgres.constraints)) do
    local constraint = postgres.constraints[name]
    for _, bound in ipairs(constraint.columns) do
      if bound == column.name then
        bonds[#bonds + 1] = KINDS[constraint.kind] .. (constraint.kind == "p" and "" or " `" .. name .. "`")
      end
    end
  end
  -- What only SQLite has to check, because PostgreSQL's type does it.
  for _, name in ipairs(sorted_names(sqlite.constraints)) do
    local constraint = sqlite.constraints[name]
    local word = "%f[%w_]" .. column.name .. "%f[^%w_]"
    if not postgres.constraints[name] and constraint.definition:find(word) then
      bonds[#bonds + 1] = KINDS[constraint.kind] .. " `" .. name .. "` (SQLite)"
    end
  end
  return table.concat(bonds, ", ")
end

local function null_of(column)
  if column.default then
    return "no, default `" .. column.default .. "`"
  end
  return column.not_null and "no" or "yes"
end

-- Columns that only PostgreSQL has, of tables that say how a schema was made.
local POSTGRES_ONLY = { settings = { jwt_claim = true, schema_created = true } }

function tables.columns(sqlite, postgres, name)
  local one, other, in_sqlite = pair(sqlite, postgres, name)
  local lines = { "| field | SQLite | PostgreSQL | null | constraints | purpose |",
    "| --- | --- | --- | --- | --- | --- |" }
  local n = 0
  for _, column in ipairs(other.columns) do
    local mine = in_sqlite[column.name]
    if not mine and not (POSTGRES_ONLY[name] or {})[column.name] then
      error(("SQLite's %s has no %s"):format(name, column.name), 0)
    end
    n = n + (mine and 1 or 0)
    lines[#lines + 1] = ("| `%s` | %s | %s | %s | %s | %s |"):format(column.name,
      mine and code(mine.type) or "–", code(column.type), null_of(column), bonds_of(column, other, one),
      cell(column.comment))
  end
  if n ~= #one.columns then
    error(("PostgreSQL's %s lacks a column that SQLite's has"):format(name), 0)
  end
  return table.concat(lines, "\n")
end

function tables.constraints(sqlite, postgres, name)
  local one, other = pair(sqlite, postgres, name)
  local lines = { "| constraint | SQLite | PostgreSQL |", "| --- | --- | --- |" }
  local all = {}
  for _, source in ipairs{ other, one } do
    for constraint, found in pairs(source.constraints) do
      all[constraint] = all[constraint] or found
    end
  end
  for _, constraint in ipairs(sorted_names(all)) do
    local mine, theirs = one.constraints[constraint], other.constraints[constraint]
    lines[#lines + 1] = ("| `%s` | %s | %s |"):format(constraint, mine and code(mine.definition) or "–",
      theirs and code(theirs.definition) or "–")
  end
  return table.concat(lines, "\n")
end

-- The part of CREATE INDEX behind the table's name.
local function index_columns(definition)
  return (definition:gsub("^.- ON %S+ ", ""):gsub("^USING btree ", ""))
end

function tables.indexes(sqlite, postgres)
  local lines = { "| index | SQLite | PostgreSQL |", "| --- | --- | --- |" }
  local names, definitions = {}, {}
  for i, source in ipairs{ sqlite, postgres } do
    for _, one in pairs(source) do
      for _, index in ipairs(one.indexes) do
        if not definitions[index.name] then
          names[#names + 1] = index.name
          definitions[index.name] = {}
        end
        definitions[index.name].unique = index.definition:find("^CREATE UNIQUE") and "UNIQUE " or ""
        definitions[index.name][i] = index_columns(index.definition)
      end
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local definition = definitions[name]
    lines[#lines + 1] = ("| `%s` | %s%s | %s%s |"):format(name, definition.unique, code(definition[1]),
      definition.unique, code(definition[2]))
  end
  return table.concat(lines, "\n")
end

-- Rows side by side, a field a line: they have too many fields for one line each. `rows`: arrays of texts by name.
function tables.rows(columns, rows)
  local head, rule = { "| field |" }, { "| --- |" }
  for i = 1, #rows do
    head[#head + 1] = (" row %d |"):format(i)
    rule[#rule + 1] = " --- |"
  end
  local lines = { table.concat(head), table.concat(rule) }
  for _, column in ipairs(columns) do
    local cells = {}
    for i, row in ipairs(rows) do
      cells[i] = " " .. (row[column.name] and code(row[column.name]) or "") .. " |"
    end
    lines[#lines + 1] = ("| `%s` |%s"):format(column.name, table.concat(cells))
  end
  return table.concat(lines, "\n")
end

return tables
