-- A log for convstore.open's option `log` that keeps what it is told, and judges the shape of each event.
local check = require "spec.support.check"

local events = {}
events.__index = events

-- Which type each field has; the first three are in every event.
local FIELDS = {
  event = "string", message = "string", at = "integer", call = "string", elapsed_ms = "integer",
  attempt = "integer", code = "string", sqlstate = "string", version = "integer", statement = "string",
  count = "integer",
}

local function check_shape(event)
  assert(getmetatable(event) == nil, "an event is a plain table")
  for name, value in pairs(event) do
    local kind = FIELDS[name] or error("an event has an unknown field " .. tostring(name))
    assert((math.type(value) or type(value)) == kind, name)
  end
  assert(event.event:find("^[a-z_]+$"), event.event)
  assert(#event.message > 0 and not event.message:find("%c"), event.message)
  check.just_now(event.at)
end

-- `log.write` is the function, `log` itself the array of events so far.
function events.new()
  local self = setmetatable({}, events)
  self.write = function(event)
    self[#self + 1] = event
  end
  return self
end

-- The events of one kind, in their order. Checks the shape of all.
function events:of(kind)
  local found = {}
  for _, event in ipairs(self) do
    check_shape(event)
    if event.event == kind then
      found[#found + 1] = event
    end
  end
  return found
end

-- The only event of its kind.
function events:only(kind)
  local found = self:of(kind)
  if #found ~= 1 then
    error(("expected one %s, got %d among: %s"):format(kind, #found, self:text()), 2)
  end
  return found[1]
end

-- "event/call event/call …"; "-" where it was in no call.
function events:names()
  local names = {}
  for i, event in ipairs(self) do
    names[i] = event.event .. "/" .. (event.call or "-")
  end
  return table.concat(names, " ")
end

function events:clear()
  for i = #self, 1, -1 do
    self[i] = nil
  end
end

-- Everything that was told, as one text.
function events:text()
  local lines = {}
  for i, event in ipairs(self) do
    local fields = {}
    for name, value in pairs(event) do
      fields[#fields + 1] = name .. "=" .. tostring(value)
    end
    table.sort(fields)
    lines[i] = table.concat(fields, " ")
  end
  return table.concat(lines, "\n")
end

return events
