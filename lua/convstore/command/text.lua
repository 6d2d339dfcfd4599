--- Stored text on a screen: nothing in it may steer a terminal, and columns count what is seen, not bytes.

local text = {}

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

--- Whether a word is taken for the id of a conversation, before it is for a key.
---@param word string
---@return boolean
function text.is_id(word)
  return word:find(UUID) ~= nil
end

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

-- Ranges of characters that take two columns, and of those that take none, as terminals have them: Unicode 15's
-- EastAsianWidth.txt (W, F), without gaps where nothing else lies between.
local WIDE = {
  0x1100, 0x115F, 0x231A, 0x231B, 0x2329, 0x232A, 0x23E9, 0x23EC, 0x23F0, 0x23F0, 0x23F3, 0x23F3,
  0x25FD, 0x25FE, 0x2614, 0x2615, 0x2648, 0x2653, 0x267F, 0x267F, 0x2693, 0x2693, 0x26A1, 0x26A1,
  0x26AA, 0x26AB, 0x26BD, 0x26BE, 0x26C4, 0x26C5, 0x26CE, 0x26CE, 0x26D4, 0x26D4, 0x26EA, 0x26EA,
  0x26F2, 0x26F3, 0x26F5, 0x26F5, 0x26FA, 0x26FA, 0x26FD, 0x26FD, 0x2705, 0x2705, 0x270A, 0x270B,
  0x2728, 0x2728, 0x274C, 0x274C, 0x274E, 0x274E, 0x2753, 0x2755, 0x2757, 0x2757, 0x2795, 0x2797,
  0x27B0, 0x27B0, 0x27BF, 0x27BF, 0x2B1B, 0x2B1C, 0x2B50, 0x2B50, 0x2B55, 0x2B55,
  0x2E80, 0x303E, 0x3041, 0xA4CF, 0xA960, 0xA97C, 0xAC00, 0xD7A3, 0xF900, 0xFAFF, 0xFE10, 0xFE19,
  0xFE30, 0xFE6F, 0xFF00, 0xFF60, 0xFFE0, 0xFFE6, 0x16FE0, 0x18CD5, 0x18D00, 0x18D08, 0x1AFF0, 0x1B2FB,
  0x1F004, 0x1F004, 0x1F0CF, 0x1F0CF, 0x1F18E, 0x1F18E, 0x1F191, 0x1F19A, 0x1F200, 0x1F265,
  0x1F300, 0x1F320, 0x1F32D, 0x1F335, 0x1F337, 0x1F37C, 0x1F37E, 0x1F393, 0x1F3A0, 0x1F3CA,
  0x1F3CF, 0x1F3D3, 0x1F3E0, 0x1F3F0, 0x1F3F4, 0x1F3F4, 0x1F3F8, 0x1F43E, 0x1F440, 0x1F440,
  0x1F442, 0x1F4FC, 0x1F4FF, 0x1F53D, 0x1F54B, 0x1F54E, 0x1F550, 0x1F567, 0x1F57A, 0x1F57A,
  0x1F595, 0x1F596, 0x1F5A4, 0x1F5A4, 0x1F5FB, 0x1F64F, 0x1F680, 0x1F6C5, 0x1F6CC, 0x1F6CC,
  0x1F6D0, 0x1F6D2, 0x1F6D5, 0x1F6D7, 0x1F6DC, 0x1F6DF, 0x1F6EB, 0x1F6EC, 0x1F6F4, 0x1F6FC,
  0x1F7E0, 0x1F7EB, 0x1F7F0, 0x1F7F0, 0x1F90C, 0x1F93A, 0x1F93C, 0x1F945, 0x1F947, 0x1F9FF,
  0x1FA70, 0x1FAFF, 0x20000, 0x3FFFD,
}
local NONE = {
  0x300, 0x36F, 0x200B, 0x200F, 0x2060, 0x2064, 0x20D0, 0x20FF, 0xFE00, 0xFE0F, 0xE0100, 0xE01EF,
}
local AS_EMOJI = 0xFE0F -- the variation selector that makes a picture, of two columns, of the character before it

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

--- Iterates over a text: the position of each character, the character's code, and how many columns it adds.
---@param value string
---@return function, nil, nil
function text.columns(value)
  local next_code, state, position = utf8.codes(value)
  local before = 0 -- the character in front; no letter has a picture
  return function()
    local code
    position, code = next_code(state, position)
    if not position then
      return nil
    end
    local columns = columns_of(code)
    if code == AS_EMOJI and before > 0xA8 and columns_of(before) == 1 then
      columns = 1
    end
    before = code
    return position, code, columns
  end
end

--- How many columns a line takes.
---@param value string
---@return integer
function text.width(value)
  local width = 0
  for _, _, columns in text.columns(value) do
    width = width + columns
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
  for position, _, columns in text.columns(value) do
    width = width + columns
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
