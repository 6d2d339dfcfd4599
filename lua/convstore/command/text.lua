--- Stored text on a screen: nothing in it may steer a terminal, and columns count what is seen, not bytes.

local text = {}

local function as_hex(character)
  return ("\\x%02x"):format(utf8.codepoint(character))
end

-- Those that turn the direction of what stands behind them, and other ends of lines.
local function as_code_point(character)
  return ("\\u{%x}"):format(utf8.codepoint(character))
end

--- A text with its control characters made visible; line feeds and tabs stay. What comes from convstore is UTF-8.
---@param value string
---@return string
function text.plain(value)
  value = value:gsub("\r\n", "\n")
  value = value:gsub("[%z\1-\8\11-\31\127]", as_hex)
  value = value:gsub("\xC2[\x80-\x9F]", as_hex)
  value = value:gsub("\xE2\x80[\xA8-\xAE]", as_code_point)
  return (value:gsub("\xE2\x81[\xA6-\xA9]", as_code_point))
end

--- The same on one line.
---@param value string
---@return string
function text.line(value)
  return (text.plain((value:gsub("%s+", " "))):gsub("^ ", ""):gsub(" $", ""))
end

-- Ranges of characters that take two columns, and of those that take none, as terminals have them.
local WIDE = {
  0x1100, 0x115F, 0x2E80, 0x303E, 0x3041, 0xA4CF, 0xAC00, 0xD7A3, 0xF900, 0xFAFF, 0xFE30, 0xFE6F,
  0xFF00, 0xFF60, 0xFFE0, 0xFFE6, 0x1F300, 0x1F64F, 0x1F680, 0x1F6FF, 0x1F900, 0x1F9FF, 0x20000, 0x3FFFD,
}
local NONE = {
  0x300, 0x36F, 0x200B, 0x200F, 0x2060, 0x2064, 0x20D0, 0x20FF, 0xFE00, 0xFE0F, 0xE0100, 0xE01EF,
}

local function within(ranges, code)
  for i = 1, #ranges, 2 do
    if code < ranges[i] then return false end
    if code <= ranges[i + 1] then return true end
  end
  return false
end

local function columns_of(code)
  if code < 0x300 then
    return 1
  end
  return within(NONE, code) and 0 or within(WIDE, code) and 2 or 1
end

--- How many columns a line takes.
---@param value string
---@return integer
function text.width(value)
  local width = 0
  for _, code in utf8.codes(value) do
    width = width + columns_of(code)
  end
  return width
end

--- A line of at most `most` columns, with an ellipsis where it was cut.
---@param value string
---@param most integer
---@return string
function text.cut(value, most)
  if #value <= most or text.width(value) <= most then
    return value
  end
  local width = 0
  for position, code in utf8.codes(value) do
    width = width + columns_of(code)
    if width > most - 1 then
      return value:sub(1, position - 1) .. "…"
    end
  end
  return value
end

--- A line with spaces behind it up to `width` columns.
---@param value string
---@param width integer
---@return string
function text.pad(value, width)
  return value .. (" "):rep(width - text.width(value))
end

--- A line with spaces in front of it up to `width` columns.
---@param value string
---@param width integer
---@return string
function text.pad_left(value, width)
  return (" "):rep(width - text.width(value)) .. value
end

--- Every line of a text indented.
---@param value string
---@param by string
---@return string
function text.indent(value, by)
  return by .. (value:gsub("\n", "\n" .. by))
end

--- "1 message", "2 messages".
---@param n integer
---@param word string
---@return string
function text.count(n, word)
  return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
end

return text
