-- Reads what the tables are like out of a migrated database's own catalog, through its shell: the same form for both.
-- It must not know where the figures go; tools/models/document.lua and diagram.lua do.
--
-- read(run) takes a function that runs SQL and returns what the shell prints, a row a line, and gives
--   tables      by name (without prefix or schema): { name, comment, columns, constraints, indexes }
--   columns     in order: { name, type, default, not_null, comment }
--   constraints by name: { kind = "p" | "u" | "f" | "c", definition, columns = { … }, target }
--   indexes     in order of name: { name, definition }, those that no constraint has made
local cjson = require "cjson"

local schema = {}

local function rows_of(run, sql)
  local rows = {}
  for line in run(sql):gmatch("[^\n]+") do
    rows[#rows + 1] = cjson.decode(line)
  end
  return rows
end

local function text(value)
  if value ~= cjson.null then
    return value
  end
end

local function squeezed(sql)
  return (sql:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""):gsub("%( ", "("):gsub(" %)", ")"))
end

-- ---- SQLite ---------------------------------------------------------------------------------------------------------

local PREFIX = "convstore_"

local SQLITE_TABLES = [[
SELECT json_object('name', name, 'sql', sql) FROM sqlite_schema
 WHERE type = 'table' AND name LIKE 'convstore\_%' ESCAPE '\' ORDER BY name;]]
local SQLITE_COLUMNS = [[
SELECT json_object('name', name, 'type', type, 'default', dflt_value, 'not_null', "notnull")
  FROM pragma_table_info('%s') ORDER BY cid;]]
local SQLITE_INDEXES = [[
SELECT json_object('name', name, 'sql', sql) FROM sqlite_schema
 WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '%s' ORDER BY name;]]

local KINDS = { CHECK = "c", UNIQUE = "u", PRIMARY = "p", FOREIGN = "f" }

-- Named constraints as the text of the table has them: SQLite's catalog keeps no other record of a CHECK.
local function sqlite_constraints(sql)
  local constraints = {}
  sql = squeezed((sql:gsub("%-%-[^\n]*", "")))
  for name, rest in sql:gmatch("CONSTRAINT ([%w_]+) ()") do
    local definition = sql:sub(rest):match("^%u[%u ]- ?%b()")
    if definition:find("^FOREIGN") then
      definition = sql:sub(rest):match("^FOREIGN KEY %b() REFERENCES [%w_]+ %b()[%u ]*")
    end
    definition = squeezed(definition)
    constraints[name:sub(#PREFIX + 1)] = {
      kind = KINDS[definition:match("^%u+")],
      definition = definition,
      target = definition:match("REFERENCES convstore_([%w_]+)"),
    }
  end
  return constraints
end

function schema.sqlite(run)
  local tables = {}
  for _, found in ipairs(rows_of(run, SQLITE_TABLES)) do
    local name = found.name:sub(#PREFIX + 1)
    local one = { name = name, columns = {}, indexes = {}, constraints = sqlite_constraints(found.sql) }
    for i, column in ipairs(rows_of(run, SQLITE_COLUMNS:format(found.name))) do
      one.columns[i] = { name = column.name, type = column.type, default = text(column.default),
        not_null = column.not_null == 1 }
    end
    for i, index in ipairs(rows_of(run, SQLITE_INDEXES:format(found.name))) do
      one.indexes[i] = { name = index.name:sub(#PREFIX + 1), definition = squeezed(index.sql) }
    end
    tables[name] = one
  end
  return tables
end

-- ---- PostgreSQL -----------------------------------------------------------------------------------------------------

local POSTGRES_TABLES = [[
SELECT json_build_object('name', relname, 'comment', obj_description(oid, 'pg_class')) FROM pg_class
 WHERE relnamespace = 'convstore'::regnamespace AND relkind = 'r' ORDER BY relname;]]
local POSTGRES_COLUMNS = [[
SELECT json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod) ||
       CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || quote_ident(l.collname) ELSE '' END,
       'default', CASE WHEN a.attidentity <> '' THEN 'IDENTITY' ELSE pg_get_expr(d.adbin, d.adrelid) END,
       'not_null', a.attnotnull, 'comment', col_description(a.attrelid, a.attnum))
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = 'convstore.%s'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;]]
-- From version 18 on NOT NULL is a constraint ('n') as well; the columns say it already.
local POSTGRES_CONSTRAINTS = [[
SELECT json_build_object('name', conname, 'kind', contype, 'definition', pg_get_constraintdef(oid),
       'target', (SELECT relname FROM pg_class WHERE pg_class.oid = confrelid),
       'columns', (SELECT json_agg(a.attname ORDER BY k.place)
                     FROM unnest(conkey) WITH ORDINALITY AS k(number, place) JOIN pg_attribute AS a
                       ON a.attrelid = conrelid AND a.attnum = k.number))
  FROM pg_constraint WHERE conrelid = 'convstore.%s'::regclass AND contype IN ('p', 'u', 'f', 'c')
 ORDER BY conname;]]
local POSTGRES_INDEXES = [[
SELECT json_build_object('name', indexname, 'sql', indexdef) FROM pg_indexes
 WHERE schemaname = 'convstore' AND tablename = '%s' AND indexname NOT IN (
   SELECT conname FROM pg_constraint WHERE conrelid = 'convstore.%s'::regclass) ORDER BY indexname;]]

function schema.postgres(run)
  local tables = {}
  for _, found in ipairs(rows_of(run, POSTGRES_TABLES)) do
    local one = { name = found.name, comment = text(found.comment), columns = {}, indexes = {},
      constraints = {} }
    for i, column in ipairs(rows_of(run, POSTGRES_COLUMNS:format(found.name))) do
      one.columns[i] = { name = column.name, type = column.type, default = text(column.default),
        not_null = column.not_null, comment = text(column.comment) }
    end
    for _, constraint in ipairs(rows_of(run, POSTGRES_CONSTRAINTS:format(found.name))) do
      one.constraints[constraint.name] = { kind = constraint.kind,
        definition = squeezed(constraint.definition), target = text(constraint.target),
        columns = text(constraint.columns) or {} }
    end
    for i, index in ipairs(rows_of(run, POSTGRES_INDEXES:format(found.name, found.name))) do
      one.indexes[i] = { name = index.name, definition = squeezed(index.sql) }
    end
    tables[found.name] = one
  end
  return tables
end

return schema
