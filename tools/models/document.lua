-- A document with parts that are made from the schema, the statements and their plans. Between
--   <!-- generated: KIND ARGUMENT... -->   and   <!-- end -->
-- stands what generators[KIND](ARGUMENT...) gives; everything else is left as it is. Writing and checking are one
-- function: a document is right if rendering it changes nothing.
local document = {}

local MARK, END = "^<!%-%- generated: (.-) %-%->$", "<!-- end -->"

-- The text with its parts made anew, and a list of what differs: { line =, mark =, was =, is = }, the first line that
-- does. A generator that gives nil keeps what is there (where it cannot be known here).
function document.render(text, generators)
  local lines, differences, kept, mark = {}, {}, nil, nil
  local number, from = 0, 0
  for line in (text .. "\n"):gsub("\n\n$", "\n"):gmatch("(.-)\n") do
    number = number + 1
    if not mark then
      lines[#lines + 1] = line
      mark = line:match(MARK)
      kept, from = {}, number
    elseif line == END then
      local words = {}
      for word in mark:gmatch("%S+") do
        words[#words + 1] = word
      end
      local generator = generators[words[1]]
      if not generator then
        error(("line %d: nothing makes '%s'"):format(from, mark), 0)
      end
      local was, is = table.concat(kept, "\n"), generator(table.unpack(words, 2))
      is = is or was
      if is ~= was then
        local made, i = {}, 1
        for one in (is .. "\n"):gmatch("(.-)\n") do
          made[#made + 1] = one
        end
        while kept[i] == made[i] do
          i = i + 1
        end
        differences[#differences + 1] = { line = from + i, mark = mark, was = kept[i], is = made[i] }
      end
      lines[#lines + 1] = is
      lines[#lines + 1] = line
      mark = nil
    else
      kept[#kept + 1] = line
    end
  end
  if mark then
    error(("line %d: no '%s' behind '%s'"):format(from, END, mark), 0)
  end
  return table.concat(lines, "\n") .. "\n", differences
end

-- Every mark of a text, as one string each.
function document.marks(text)
  local marks = {}
  for line in text:gmatch("[^\n]+") do
    local mark = line:match(MARK)
    if mark then
      marks[#marks + 1] = mark
      marks[mark] = true
    end
  end
  return marks
end

return document
