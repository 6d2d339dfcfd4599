--- Looks whether the links of documents lead somewhere: lua5.4 tools/docs/links.lua FILE.md...
-- Links within the project: the file or folder is there, and the anchor is one of its headings (a line of a source file
-- is not linked to, since it moves). Links to elsewhere are only looked at: https, with a host. Nothing is fetched.
-- Prints what is wrong, one line each, and a count; ends with 1 where anything is.

package.path = "tools/docs/?.lua;tools/docs/site/?.lua;" .. package.path
local lfs = require "lfs"
local markdown = require "markdown"
local paths = require "paths"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local anchors = {} -- by file: a set

local function has_anchor(path, name)
  if not anchors[path] then
    local set = {}
    for _, heading in ipairs(markdown.headings(read(path))) do
      set[heading.anchor] = true
    end
    for id in read(path):gmatch('<a id="([^"]+)">') do
      set[id] = true
    end
    anchors[path] = set
  end
  return anchors[path][name]
end

-- What is wrong with a link of `from`, or nil.
local function judge(from, target)
  if target:find("^%a[%w+.-]*:") then
    if target:find("^mailto:[^@%s]+@[%w.-]+$") or target:find("^https://[%w-]+%.[%w.-]+%f[/?#%z]") then
      return nil
    end
    return "is no well-formed https address"
  end
  local path, fragment = target:match("^([^#]*)#?(.*)$")
  local whole = path == "" and from or paths.normal((from:match("^(.*/)") or "") .. path)
  if not whole or not lfs.attributes(whole) then
    return "leads nowhere"
  end
  if fragment == "" then
    return nil
  end
  if not whole:find("%.md$") then
    return "names an anchor in what is no document"
  end
  return not has_anchor(whole, fragment) and "names an anchor that is not there" or nil
end

local broken, inside, outside = 0, 0, 0
for _, from in ipairs(arg) do
  for _, link in ipairs(markdown.links(read(from))) do
    local problem = judge(from, link.target)
    if link.target:find("^%a[%w+.-]*:") then
      outside = outside + 1
    else
      inside = inside + 1
    end
    if problem then
      broken = broken + 1
      io.stderr:write(("%s:%d: %s %s\n"):format(from, link.line, link.target, problem))
    end
  end
end
print(("links: %d inside, %d to elsewhere (only looked at), %d broken"):format(inside, outside, broken))
os.exit(broken == 0)
