--- Makes the site: lua5.4 tools/docs/site/build.lua FOLDER VERSION, from the project's root.
-- Pages are README, CHANGELOG, CONTRIBUTING, the examples', docs/*.md, docs/decisions/*.md, the source files that they
-- link to, and the manual page of the command. pandoc reads them as GitHub does; filter.lua and template.html make
-- pages of them. FOLDER is made anew.

package.path = "./?.lua;tools/docs/?.lua;tools/docs/site/?.lua;" .. package.path
local lfs = require "lfs"
local markdown = require "markdown"
local paths = require "paths"

local site, version = arg[1], arg[2]
assert(site and version, "usage: build.lua FOLDER VERSION")

-- Which pages come first and last; those that are not named stand between them.
local COMMAND = "docs/command.md" -- no file: it is made of the manual page
local FIRST = { "README.md", "examples/README.md", "docs/reference.md", "docs/errors.md", COMMAND,
  "docs/c.md", "docs/deploy.md", "docs/conversation-models.md", "docs/contracts.md", "docs/promises.md",
  "docs/benchmarks.md" }
local LAST = { "docs/architecture.md", "docs/source-tour.md", "docs/decisions/README.md", "CONTRIBUTING.md",
  "CHANGELOG.md" }

local LANGUAGES = { c = "c", h = "c", lua = "lua", sql = "sql", sh = "bash", Makefile = "makefile" }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function make_folder(path)
  local whole = ""
  for part in path:gmatch("[^/]+/") do
    whole = whole .. part
    lfs.mkdir(whole)
  end
end

local function write(path, text)
  make_folder(path)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function files(pattern)
  local list = {}
  for path in assert(io.popen("ls -d " .. pattern .. " 2>/dev/null")):lines() do
    list[#list + 1] = path
  end
  return list
end

-- ---- what there is -------------------------------------------------------------------------------------------------

local documents, titles, texts = {}, {}, {} -- in their order; by path

-- The manual page, which is made of the same table as --help.
local function command_text()
  local pipe = assert(io.popen("lua5.4 tools/command_docs.lua man " .. quote(version) ..
    " | pandoc --from=man --to=gfm --wrap=none --shift-heading-level-by=1"))
  local text = pipe:read("a")
  assert(pipe:close() and #text > 1000, "the manual page cannot be made")
  return "# The command\n\n" .. text
end

local function add_document(path)
  if titles[path] or path ~= COMMAND and not lfs.attributes(path) then
    return
  end
  texts[path] = path == COMMAND and command_text() or read(path)
  local first = assert(markdown.headings(texts[path])[1], path .. " has no heading")
  titles[path] = first.title:gsub("`", "")
  documents[#documents + 1] = path
end

for _, path in ipairs(FIRST) do add_document(path) end
for _, path in ipairs(files("docs/*.md")) do
  local is_last = false
  for _, last in ipairs(LAST) do is_last = is_last or path == last end
  if not is_last then add_document(path) end
end
for _, path in ipairs(LAST) do add_document(path) end
local in_navigation = #documents
for _, path in ipairs(files("docs/decisions/*.md")) do add_document(path) end

local sources, folders = {}, {}
for _, path in ipairs(documents) do
  for _, link in ipairs(markdown.links(texts[path])) do
    local target = paths.target(path, link.target)
    local mode = target and lfs.attributes(target, "mode")
    if mode == "directory" then
      folders[target] = true
    elseif mode == "file" and paths.page(target):find("^source/") then
      sources[target] = true
    end
  end
end

-- ---- pages ---------------------------------------------------------------------------------------------------------

local function navigation(page, document)
  local out = { "<ul>" }
  for i = 1, in_navigation do
    local path = documents[i]
    local here = path == document or path:find("^docs/decisions/") and document:find("^docs/decisions/")
    out[#out + 1] = ('<li><a href="%s"%s>%s</a></li>'):format(paths.relative(page, paths.page(path)),
      here and ' aria-current="page"' or "", i == 1 and "Overview" or titles[path])
  end
  out[#out + 1] = "</ul>"
  return table.concat(out, "\n")
end

local scratch = os.tmpname() -- what pandoc reads
local folder_names -- of all that are linked to, for the filter

-- Makes a page of Markdown.
local function make_page(path, page, title, text, options)
  write(scratch, text)
  make_folder(site .. "/" .. page)
  local command = { "pandoc --from=gfm --to=html5 --standalone --wrap=none",
    "--template=tools/docs/site/template.html --lua-filter=tools/docs/site/filter.lua", options,
    "--metadata=path:" .. quote(path), "--metadata=folders:" .. quote(folder_names),
    "--metadata=pagetitle:" .. quote(title),
    "--variable=root:" .. quote(paths.relative(page, "")), "--variable=version:" .. quote(version),
    "--variable=navigation:" .. quote(navigation(page, path)),
    "--output=" .. quote(site .. "/" .. page), quote(scratch) }
  assert(os.execute(table.concat(command, " ")))
end

-- A source file is a page with one code block, its fence longer than any in the file.
local function make_source(path)
  local text, fence = read(path), "```"
  for ticks in text:gmatch("`+") do
    if #ticks >= #fence then fence = ticks .. "`" end
  end
  local language = LANGUAGES[path:match("%.(%w+)$") or path:match("[^/]+$")] or "text"
  make_page(path, paths.page(path), path .. " – convstore",
    ("# `%s`\n\n%s%s\n%s\n%s\n"):format(path, fence, language, text:gsub("\n$", ""), fence), "")
end

local function make_folder_page(path)
  local names = {}
  for name in lfs.dir(path) do
    if not name:find("^%.") then
      local whole = path .. "/" .. name
      local linked = sources[whole] or folders[whole]
      names[#names + 1] = linked and ("- [`%s`](%s)"):format(name, name) or ("- `%s`"):format(name)
    end
  end
  table.sort(names)
  -- Links of this page are from within the folder.
  make_page(path .. "/", paths.page(path, true), path .. " – convstore",
    ("# `%s/`\n\n%s\n"):format(path, table.concat(names, "\n")), "")
end

assert(os.execute("rm -rf " .. quote(site)))
do
  local names = {}
  for folder in pairs(folders) do names[#names + 1] = folder end
  folder_names = table.concat(names, " ")
end
for _, path in ipairs(documents) do
  local title = path == "README.md" and "convstore" or titles[path] .. " – convstore"
  make_page(path, paths.page(path), title, texts[path], #texts[path] > 6000 and "--toc --toc-depth=3" or "")
end
for path in pairs(sources) do make_source(path) end
for path in pairs(folders) do make_folder_page(path) end
for _, path in ipairs(files("docs/*.svg docs/*/*.svg docs/*.png docs/*/*.png")) do
  write(site .. "/" .. paths.page(path), read(path))
end
write(site .. "/style.css", read("tools/docs/site/style.css"))
os.remove(scratch)

-- ---- every link of every page leads somewhere ----------------------------------------------------------------------

local ids, broken, n_links = {}, 0, 0

local function has_id(page, id)
  if not ids[page] then
    ids[page] = {}
    for found in read(page):gmatch('%sid="([^"]*)"') do
      ids[page][found] = true
    end
  end
  return ids[page][id]
end

local function look_at(page)
  for link in read(page):gmatch('%f[%w][hs]r[ec]f?="([^"]*)"') do
    local path, fragment = link:match("^([^#]*)#?(.*)$")
    if not link:find("^%a[%w+.-]*:") then
      n_links = n_links + 1
      local target = path == "" and page or paths.normal(page:match("^(.*/)") .. path)
      if not lfs.attributes(target) or fragment ~= "" and not has_id(target, fragment) then
        broken = broken + 1
        io.stderr:write(("%s: a link leads nowhere: %s\n"):format(page, link))
      end
    end
  end
end

for page in assert(io.popen("find " .. quote(site) .. " -name '*.html'")):lines() do
  look_at(page)
end
print(("%s: %d documents, %d links within the site, %d broken"):format(site, #documents, n_links, broken))
os.exit(broken == 0)
