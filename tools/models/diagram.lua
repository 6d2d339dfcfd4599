-- The entity-relationship diagram, as text for Graphviz: a box for each table, an edge for each foreign key, from what
-- tools/models/schema.lua read. `make docs-diagrams` draws it.
local diagram = {}

local HEAD = [[
// Made from the migrations by `make models`; `make docs-diagrams` draws it.
digraph convstore {
  graph [rankdir = RL, nodesep = 0.35, ranksep = 0.9, fontname = "DejaVu Sans", bgcolor = "white"]
  node [shape = plain, fontname = "DejaVu Sans", fontsize = 10]
  edge [fontname = "DejaVu Sans", fontsize = 9, dir = both, color = "#555555"]
]]

local ROW = '    <tr><td align="left">%s%s</td><td align="left">%s</td><td align="left">%s</td></tr>'
local BOX = '  %s [label = <<table border="0" cellborder="1" cellspacing="0" cellpadding="3" color="#888888">'
local TITLE = '    <tr><td colspan="3" bgcolor="#dde7f3"><b>%s</b></td></tr>'
local ALIKE = '    <tr><td colspan="3" align="left">the columns and keys of %s</td></tr>'
local EDGE = '  %s -> %s [arrowtail = crowodot, arrowhead = nonetee, label = "%s\\n%s"]\n'

-- The host's own, which only the option "users" makes a part of it.
local USERS = [[
  users [label = <<table border="0" cellborder="1" cellspacing="0" cellpadding="3" color="#888888">
    <tr><td bgcolor="#eeeeee"><i>your users table (option)</i></td></tr>
  </table>>]
  conversations -> users [arrowtail = crowodot, arrowhead = noneteeodot, style = dashed,
    label = "user_id, only with users =\nON DELETE CASCADE"]
]]

local function names_of(tables)
  local names = {}
  for name in pairs(tables) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function is_key(one, column)
  for _, constraint in pairs(one.constraints) do
    if constraint.kind == "p" then
      for _, name in ipairs(constraint.columns) do
        if name == column then
          return true
        end
      end
    end
  end
end

-- Whether two tables have the same columns of the same types.
local function alike(one, other)
  if not other or #one.columns ~= #other.columns then
    return false
  end
  for i, column in ipairs(one.columns) do
    if column.name ~= other.columns[i].name or column.type ~= other.columns[i].type then
      return false
    end
  end
  return true
end

local function row(column, one, sqlite_type)
  local name = is_key(one, column.name) and "<b>" .. column.name .. "</b>" or column.name
  return ROW:format(name, column.not_null and "" or " ?", (column.type:gsub(' COLLATE "C"', "")),
    sqlite_type or "–")
end

local function box(name, one, sqlite, postgres)
  local lines = { BOX:format(name), TITLE:format(name) }
  local model = name:match("^(.*)_archive$")
  if model and alike(one, postgres[model]) then
    lines[#lines + 1] = ALIKE:format(model)
  else
    local types = {}
    for _, column in ipairs(sqlite[name].columns) do
      types[column.name] = column.type
    end
    for _, column in ipairs(one.columns) do
      lines[#lines + 1] = row(column, one, types[column.name])
    end
  end
  lines[#lines + 1] = "  </table>>]"
  return table.concat(lines, "\n") .. "\n"
end

function diagram.source(sqlite, postgres)
  local parts = { HEAD }
  for _, name in ipairs(names_of(postgres)) do
    parts[#parts + 1] = box(name, postgres[name], sqlite, postgres)
  end
  for _, name in ipairs(names_of(postgres)) do
    for _, constraint in ipairs(names_of(postgres[name].constraints)) do
      local found = postgres[name].constraints[constraint]
      if found.kind == "f" and found.target ~= "users" then
        local columns = found.definition:match("FOREIGN KEY %((.-)%)")
        parts[#parts + 1] = EDGE:format(name, found.target, columns,
          found.definition:match("ON DELETE %u+") or "no action")
      end
    end
  end
  parts[#parts + 1] = USERS .. "}\n"
  return table.concat(parts)
end

return diagram
