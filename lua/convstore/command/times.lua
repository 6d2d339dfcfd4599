--- Times on the command line and on the screen. The library's are milliseconds since 1970-01-01 UTC.

local core = require "convstore.core" -- for its clock: Lua's own shows whole seconds

local times = {}

local UNITS = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

local function leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  return month == 2 and leap(year) and 29 or DAYS[month]
end

-- Days from 1970-01-01, by the calendar of today.
local function day_number(year, month, day)
  local before = year - 1
  local days = before * 365 + before // 4 - before // 100 + before // 400
  for m = 1, month - 1 do
    days = days + days_in(year, m)
  end
  return days + day - 1 - 719162
end

-- The hours, minutes, seconds and milliseconds behind a date, and what is left: the zone.
local function clock(text)
  if text == "" then
    return 0, 0, 0, 0, ""
  end
  local hour, minute, rest = text:match("^[Tt ](%d%d):(%d%d)(.*)$")
  if not hour then
    return nil
  end
  local second, after = rest:match("^:(%d%d)(.*)$")
  local fraction, zone = (after or rest):match("^%.(%d+)(.*)$")
  if fraction and not second then
    return nil
  end
  local ms = ((fraction or "") .. "000"):sub(1, 3)
  return tonumber(hour), tonumber(minute), tonumber(second or 0), tonumber(ms), zone or after or rest
end

-- Seconds that a written zone is ahead of UTC; nil where it is none.
local function offset_of(zone)
  if zone:upper() == "Z" then
    return 0
  end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):?(%d%d)$")
  if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then
    return nil
  end
  return (tonumber(hours) * 3600 + tonumber(minutes) * 60) * (sign == "-" and -1 or 1)
end

local function parse_date(text, utc)
  local y, m, d, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not y then
    return nil
  end
  local year, month, day = tonumber(y), tonumber(m), tonumber(d)
  if month < 1 or month > 12 or day < 1 or day > days_in(year, month) then
    return nil
  end
  local hour, minute, second, ms, zone = clock(rest)
  if not hour or hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  local seconds
  if zone == "" and not utc then
    seconds = os.time({ year = year, month = month, day = day, hour = hour, min = minute, sec = second })
  else
    local offset = zone == "" and 0 or offset_of(zone)
    seconds = offset and day_number(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
  end
  return seconds and seconds * 1000 + ms
end

--- Reads a date, a date and time, or an age.
---@param text string
---@param utc boolean what has no zone is UTC, else local
---@return integer? ms
function times.parse(text, utc)
  local number, unit = text:match("^(%d+)([smhdw])$")
  if number and #number <= 9 then
    return core.now() - math.tointeger(tonumber(number)) * UNITS[unit] * 1000
  end
  return parse_date(text, utc)
end

-- A zone is written where it is not obvious: behind a time to the second.
local FORMATS = {
  minute = { "%Y-%m-%d %H:%M", "!%Y-%m-%d %H:%M" },
  second = { "%Y-%m-%d %H:%M:%S %z", "!%Y-%m-%d %H:%M:%S UTC" },
}

--- A time as people read it.
---@param ms integer
---@param precision "minute"|"second"
---@param utc boolean
---@return string
function times.text(ms, precision, utc)
  return os.date(FORMATS[precision][utc and 2 or 1], ms // 1000) --[[@as string]]
end

return times
