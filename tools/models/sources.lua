-- What may stand between the marks of docs/conversation-models.md, from two migrated databases that hold nothing else:
-- `sqlite` and `postgres` are functions that run SQL in their shells, `store` is open on the SQLite file, `statements`
-- is the program that prints the statements (tools/models/statements.c).
local cjson = require "cjson"
local diagram = require "tools.models.diagram"
local example = require "tools.models.example"
local plans = require "tools.models.plans"
local schema = require "tools.models.schema"
local laid_out = require("tools.models.sql").laid_out
local tables = require "tools.models.tables"

local sources = {}

-- The statements of both backends; variants that have one name are numbered in the order of their table.
function sources.statements(program)
  local all = { sqlite = {}, postgres = {} }
  local pipe = assert(io.popen(program))
  for line in pipe:lines() do
    local one = cjson.decode(line)
    local named = all[one.backend][one.name] or {}
    named[#named + 1] = one.sql
    all[one.backend][one.name] = named
  end
  assert(pipe:close(), "the statements could not be read")
  return all
end

local function fenced(language, text)
  return ("```%s\n%s\n```"):format(language, text)
end

-- The version of PostgreSQL whose plans the document shows.
sources.PLANS_OF = 15

-- The generators for tools/models/document.lua, and the text of the diagram.
function sources.generators(options)
  local sqlite, postgres = options.sqlite, options.postgres
  local in_sqlite, in_postgres = schema.sqlite(sqlite), schema.postgres(postgres)
  local statements = sources.statements(options.statements)
  local version = tonumber(postgres("SHOW server_version_num;")) // 10000
  example.write(options.store)
  sqlite(example.fix_times)
  plans.seed(postgres)

  local function statement(backend, name, variant)
    local found = statements[backend][name]
    if not found or not found[tonumber(variant or 1)] then
      error(("%s has no statement %s %s"):format(backend, name, variant or ""), 0)
    end
    return found[tonumber(variant or 1)]
  end

  local generators = {}
  function generators.columns(name) return tables.columns(in_sqlite, in_postgres, name) end
  function generators.constraints(name) return tables.constraints(in_sqlite, in_postgres, name) end
  function generators.indexes() return tables.indexes(in_sqlite, in_postgres) end

  -- sql BACKEND NAME [VARIANT], with the comment that says how it can be run as an example: BEGIN is run, the others,
  -- which have parameters, are prepared.
  function generators.sql(backend, name, variant)
    local sql = statement(backend, name, variant)
    return ("<!-- run: %s%s, after=%s_schema -->\n%s"):format(backend,
      sql:find("^BEGIN") and "" or ", prepare", backend, fenced("sql", laid_out(plans.filled(sql))))
  end

  -- plan BACKEND NAME [VARIANT [FRAME]]; another version of PostgreSQL words its plans otherwise.
  function generators.plan(backend, name, variant, frame)
    local sql = statement(backend, name, variant)
    if backend == "sqlite" then
      return fenced("text", plans.sqlite(sqlite, sql))
    elseif version == sources.PLANS_OF then
      return fenced("text", plans.postgres(postgres, sql, frame, function(other)
        return statement("postgres", other)
      end))
    end
  end

  -- rows TABLE [LIMIT [all]]: SQLite's; without `all` those of the first conversation.
  function generators.rows(name, limit, all)
    local columns, pairs_of = in_sqlite[name].columns, {}
    local own = false
    for i, column in ipairs(columns) do
      local form = column.type == "BLOB" and "'%s', length(%s) || ' bytes'" or "'%s', CAST(%s AS TEXT)"
      pairs_of[i] = form:format(column.name, column.name)
      own = own or column.name == "conversation_id"
    end
    local where = not all and (own and " WHERE conversation_id = " .. example.conversation_id or
      name == "conversations" and " WHERE id = " .. example.conversation_id) or ""
    local rows = {}
    for line in sqlite(("SELECT json_object(%s) FROM convstore_%s%s ORDER BY rowid LIMIT %d;"):format(
        table.concat(pairs_of, ", "), name, where, limit or 1)):gmatch("[^\n]+") do
      local row = cjson.decode(line)
      for key, value in pairs(row) do
        row[key] = value ~= cjson.null and value or nil
      end
      rows[#rows + 1] = row
    end
    return tables.rows(columns, rows)
  end

  function generators.policies()
    local lines = { "| table | policy | role | `USING`, and the same `WITH CHECK` |",
      "| --- | --- | --- | --- |" }
    for line in postgres([[SELECT json_build_object('table', tablename, 'policy', policyname, 'roles',
        array_to_string(roles, ', '), 'using', qual, 'check', with_check) FROM pg_policies
        WHERE schemaname = 'convstore' ORDER BY tablename, policyname;]]):gmatch("[^\n]+") do
      local one = cjson.decode(line)
      assert(one.using == one.check, "a policy reads and writes by different conditions")
      lines[#lines + 1] = ("| `%s` | `%s` | `%s` | `%s` |"):format(one.table, one.policy, one.roles,
        (one.using:gsub("%s+", " ")))
    end
    return table.concat(lines, "\n")
  end

  return generators, diagram.source(in_sqlite, in_postgres), in_postgres
end

return sources
