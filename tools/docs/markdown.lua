--- What the tools for documents need of a Markdown file: its code blocks, headings and links, with their lines.
-- It reads the part of GitHub's Markdown that our documents are written in: fences of three backticks, "#" headings,
-- inline links, HTML comments of one line. No more, and what it does not know it does not guess.

local markdown = {}

--- The lines of a text.
local function lines(text)
  return (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\r?\n")
end

--- Walks over a document: one table for each line, { number=, text=, fence= (inside of or at a code block) }.
function markdown.walk(text)
  local number, fence = 0, nil
  local next_line = lines(text)
  return function()
    local line = next_line()
    if not line then
      return nil
    end
    number = number + 1
    local item = { number = number, text = line, fence = fence ~= nil }
    local ticks, language = line:match("^%s*(```+)%s*(%S*)")
    if not fence and ticks then
      fence, item.fence, item.opens = ticks, true, language
    elseif fence and line:match("^%s*(```+)%s*$") and #line:match("`+") >= #fence then
      fence, item.closes = nil, true
    end
    return item
  end
end

--- What a comment says that is alone on its line: the text between "<!--" and "-->", or nil.
local function comment(line)
  return line:match("^%s*<!%-%-%s*(.-)%s*%-%->%s*$")
end

--- The code blocks: array of { line=, language=, text=, comment= }. The comment is the one on the nearest line above
-- that is not empty. Also the comment "default: …" of the document, which concerns all of its blocks.
function markdown.blocks(text)
  local blocks, block, above, default = {}, nil, nil, nil
  for item in markdown.walk(text) do
    if item.opens then
      block = { line = item.number, language = item.opens, comment = above, lines = {} }
    elseif item.closes then
      block.text = table.concat(block.lines, "\n") .. "\n"
      block.lines = nil
      blocks[#blocks + 1] = block
      block, above = nil, nil
    elseif block then
      block.lines[#block.lines + 1] = item.text
    elseif item.text:find("%S") then
      above = comment(item.text)
      default = above and above:match("^default:%s*(.*)$") or default
    end
  end
  assert(not block, "a code block has no end")
  return blocks, default
end

--- GitHub's anchor of a heading: lower case, spaces to hyphens, other punctuation gone; a repeated one gets a number.
local function anchor(title, taken)
  local slug = title:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):gsub("[`*]", ""):lower()
  slug = slug:gsub("[%z\1-\31!-,./:-@%[-^{-~]", ""):gsub("…", ""):gsub(" ", "-")
  local n = taken[slug]
  taken[slug] = (n or 0) + 1
  return n and slug .. "-" .. n or slug
end

--- The headings: array of { line=, level=, title=, anchor= }.
function markdown.headings(text)
  local headings, taken = {}, {}
  for item in markdown.walk(text) do
    local marks, title = item.text:match("^(#+)%s+(.-)%s*#*$")
    if marks and not item.fence then
      headings[#headings + 1] = { line = item.number, level = #marks, title = title,
        anchor = anchor(title, taken) }
    end
  end
  return headings
end

--- The links and images: array of { line=, target= }. Code is no link.
function markdown.links(text)
  local links = {}
  for item in markdown.walk(text) do
    local line = item.fence and "" or item.text:gsub("(`+).-%1", "")
    for target in line:gmatch("%]%(<?([^)%s>]+)>?[^)]*%)") do
      links[#links + 1] = { line = item.number, target = target }
    end
    for target in line:gmatch("<(%a[%w+.-]*:[^>%s]+)>") do
      links[#links + 1] = { line = item.number, target = target }
    end
    for target in line:gmatch("%f[%w]src=\"([^\"]+)\"") do
      links[#links + 1] = { line = item.number, target = target }
    end
  end
  return links
end

return markdown
