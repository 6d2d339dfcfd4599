--- What the values of options may be, by the `kind` of the table of commands: from the text of the command line to what
-- the library takes. Each reader returns the value, or nil and what would be right.

local times = require "convstore.command.times"

local values = {}

local function whole(text, least)
  local number = text:find("^%d+$") and math.tointeger(tonumber(text))
  return number and number >= least and number or nil
end

function values.count(text)
  return whole(text, 0), "a whole number"
end

function values.positive(text)
  return whole(text, 1), "a whole number above 0"
end

function values.seconds(text)
  local number = text:find("^%d+%.?%d*$") and tonumber(text)
  return number and number > 0 and number or nil, "a number of seconds above 0"
end

function values.time(text, _, utc)
  local right = "a date since 1970 (2026-01-31), a time (2026-01-31T12:00Z) or an age (30d)"
  local ms = times.parse(text, utc)
  return ms and ms >= 0 and ms or nil, right -- the library keeps no times before 1970
end

local function is_choice(word, choices)
  for _, choice in ipairs(choices) do
    if word == choice then return true end
  end
  return false
end

function values.choice(text, choices)
  return is_choice(text, choices) and text or nil, "one of " .. table.concat(choices, ", ")
end

--- Several of them, with commas between.
function values.choices(text, choices)
  local chosen = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    if not is_choice(word, choices) then
      return nil, "among " .. table.concat(choices, ", ")
    end
    chosen[#chosen + 1] = word
  end
  return chosen
end

--- Reads a value.
---@param text string
---@param spec table an option or argument of the table of commands
---@param utc boolean times without a zone are UTC
---@return any value nil where it is none
---@return string? right what would be right
function values.read(text, spec, utc)
  local kind = spec.kind or (spec.choices and "choice")
  if not kind then
    return text
  end
  return values[kind](text, spec.choices, utc)
end

return values
