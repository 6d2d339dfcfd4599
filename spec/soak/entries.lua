-- How many entries all tables have that Lua can reach, wherever they hang: in the registry, in upvalues, behind
-- userdata. A value that is kept by mistake, though collected it could be, is one more each time, long before memory
-- shows it.
local MAX_VALUES = 255 -- of a function or a userdata

local visit

local function visit_table(value, seen)
  local n = 0
  for key, item in next, value do
    n = n + 1 + visit(key, seen) + visit(item, seen)
  end
  return n + visit(debug.getmetatable(value), seen)
end

local function visit_function(value, seen)
  local n = 0
  for i = 1, MAX_VALUES do
    local name, item = debug.getupvalue(value, i)
    if not name then break end
    n = n + visit(item, seen)
  end
  return n
end

local function visit_userdata(value, seen)
  local n = visit(debug.getmetatable(value), seen)
  for i = 1, MAX_VALUES do
    local item, is_there = debug.getuservalue(value, i)
    if not is_there then break end
    n = n + visit(item, seen)
  end
  return n
end

local VISITORS = { table = visit_table, ["function"] = visit_function, userdata = visit_userdata }

function visit(value, seen)
  local visitor = VISITORS[type(value)]
  if not visitor or seen[value] then return 0 end
  seen[value] = true
  return visitor(value, seen)
end

return function()
  return visit(debug.getregistry(), {})
end
