--- Reads docs/meta: what the definitions for editors say there is. For the specs that compare them with what there is.
-- read() returns { classes = { NAME = { fields = { NAME = optional }, parent= } }, functions = { "receiver:name" =
-- { params=, documented=, returns= } }, types = set of names that are mentioned }. Names are without "convstore.".
local lfs = require "lfs"

local meta = {}

local RECEIVERS = { convstore = "convstore", Store = "store", User = "user", Conversation = "conversation" }

local function read_function(found, line, docs)
  local receiver, dot, name, params = line:match("^function (%a+)([.:])([%w_]+)%((.-)%) end$")
  if not receiver then
    return
  end
  local key = assert(RECEIVERS[receiver], receiver) .. dot .. name
  assert(not found.functions[key], key .. " is defined twice")
  local entry = { params = {}, documented = {}, returns = 0 }
  for param in params:gmatch("[%w_.]+") do
    entry.params[#entry.params + 1] = param
  end
  for _, doc in ipairs(docs) do
    entry.documented[#entry.documented + 1] = doc:match("^%-%-%-@param ([%w_.]+)")
    entry.returns = entry.returns + (doc:find("^%-%-%-@return ") and 1 or 0)
  end
  found.functions[key] = entry
end

local function read_file(found, path)
  local class, docs = nil, {}
  for line in io.lines(path) do
    local name, parent = line:match("^%-%-%-@class convstore%.?([%w_]*):? ?c?o?n?v?s?t?o?r?e?%.?([%w_]*)")
    local field, optional = line:match("^%-%-%-@field ([%w_]+)(%??)")
    if name then
      name = name == "" and "convstore" or name
      assert(not found.classes[name], name .. " is defined twice")
      class = { fields = {}, parent = parent ~= "" and parent or nil }
      found.classes[name] = class
    elseif field then
      assert(class.fields[field] == nil, path .. ": the field " .. field .. " is there twice")
      class.fields[field] = optional == "?"
    end
    found.classes[line:match("^%-%-%-@alias convstore%.([%w_]+)") or false] = { alias = true, fields = {} }
    for mentioned in line:gmatch("convstore%.([A-Z][%w_]*)") do
      found.types[mentioned] = true
    end
    if line:find("^%-%-%-") then
      docs[#docs + 1] = line
    else
      read_function(found, line, docs)
      docs = {}
    end
  end
end

--- The fields of a class, with those of the classes that it extends.
function meta.fields(found, name)
  local class = assert(found.classes[name], "docs/meta has no class " .. name)
  local fields = {}
  for field, optional in pairs(class.parent and meta.fields(found, class.parent) or {}) do
    fields[field] = optional
  end
  for field, optional in pairs(class.fields) do
    fields[field] = optional
  end
  return fields
end

function meta.read(folder)
  local found = { classes = {}, functions = {}, types = {} }
  for name in lfs.dir(folder) do
    if name:find("%.lua$") then
      read_file(found, folder .. "/" .. name)
    end
  end
  found.classes[false] = nil
  return found
end

return meta
