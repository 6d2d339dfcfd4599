--- A filter for pandoc, which makes a page of the site from a document: links lead to pages, tables may be scrolled on
-- a narrow screen, comments for our tools are left out. Metadata: `path`, the document; `folders`, those linked to.
-- luacheck: globals pandoc
local paths = dofile("tools/docs/site/paths.lua")

local document, folders = "", {}

local function link_to(link)
  local path, fragment = paths.target(document, link)
  if not path then
    return link
  end
  local page = paths.page(path, folders[path])
  return path == document and fragment or paths.relative(paths.page(document), page) .. fragment
end

local function read_meta(meta)
  document = pandoc.utils.stringify(meta.path)
  for folder in pandoc.utils.stringify(meta.folders or ""):gmatch("%S+") do
    folders[folder] = true
  end
  meta.folders = nil
  return meta
end

-- The page's heading stands above its table of contents, so the template places it.
local function take_heading(doc)
  local first = doc.blocks[1]
  while first and not first.t:find("^Header") do
    doc.blocks:remove(1)
    first = doc.blocks[1]
  end
  doc.meta.heading, doc.meta["heading-id"] = pandoc.MetaInlines(first.content), first.identifier
  doc.blocks:remove(1)
  return doc
end

local function Link(link)
  link.target = link_to(link.target)
  return link
end

-- A picture is a link to itself, since a large one is small on a phone.
local function Image(image)
  image.src = link_to(image.src)
  return pandoc.Link({ image }, image.src)
end

-- pandoc gives the columns widths by the source's dashes; a browser knows better.
local function Table(block)
  for _, column in ipairs(block.colspecs) do
    column[2] = nil
  end
  return pandoc.Div({ block }, { class = "scroll" })
end

local function RawBlock(block)
  return block.text:find("^%s*<!%-%-.*%-%->%s*$") and {} or nil
end

return {
  { Meta = read_meta },
  { Link = Link, Image = Image, Table = Table, RawBlock = RawBlock },
  { Pandoc = take_heading },
}
