--- A table for people: a heading, columns as wide as the first page needs; on a terminal the last one is cut at its
-- edge, and one with `most` at so many columns.

local text = require "convstore.command.text"

local GAP = "  "

local rows = {}
rows.__index = rows

--- A table that is written page by page.
---@param screen convstore.Screen
---@param columns { title: string, right?: boolean, style?: string, cut?: boolean, most?: integer }[]
function rows.new(screen, columns)
  return setmetatable({ screen = screen, columns = columns }, rows)
end

--- What a column shows of a text.
function rows:cell(column, value)
  return column.most and self.screen.columns and text.cut(value, column.most) or value
end

local function measure(self, page)
  for i, column in ipairs(self.columns) do
    column.width = text.width(column.title)
    for _, row in ipairs(page) do
      column.width = math.max(column.width, text.width(self:cell(column, row[i])))
    end
  end
end

local function line_of(self, row, style)
  local parts, used = {}, 0
  for i, column in ipairs(self.columns) do
    local cell = self:cell(column, row[i])
    if i < #self.columns then
      cell = column.right and text.pad_left(cell, column.width) or text.pad(cell, column.width)
      used = used + text.width(cell) + #GAP
    elseif column.cut and self.screen.columns then
      cell = text.cut(cell, math.max(self.screen.columns - used, 8))
    end
    local cell_style = style or column.style
    parts[i] = cell_style and self.screen:styled(cell_style, cell) or cell
  end
  return (table.concat(parts, GAP):gsub(" +$", ""))
end

--- Writes a page of rows, each an array of strings; before the first page the heading.
---@param page string[][]
function rows:write(page)
  if not self.measured then
    measure(self, page)
    self.measured = true
    local titles = {}
    for i, column in ipairs(self.columns) do
      titles[i] = column.title
    end
    self.screen:write(line_of(self, titles, "bold"), "\n")
  end
  for _, row in ipairs(page) do
    self.screen:write(line_of(self, row), "\n")
  end
end

return rows
