--- Where a file of the project stands on the site. Used by build.lua and, within pandoc, by filter.lua.
-- README.md is index.html, docs/x.md is x.html, docs/decisions/README.md is decisions/index.html, any other document
-- keeps its place; a picture below docs too; a source file is source/PATH.html, a folder source/PATH/index.html.

local paths = {}

--- "docs/../csrc/x.c" as "csrc/x.c"; nil where it leaves the project.
function paths.normal(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." then
      if #parts == 0 then
        return nil
      end
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

--- The page of a file or folder.
function paths.page(path, is_folder)
  if is_folder then
    return "source/" .. path .. "/index.html"
  end
  local document = path:match("^docs/(.*)%.md$") or path:match("^(.*)%.md$")
  if document then
    return (document:gsub("README$", "index"):gsub("^%u+$", string.lower)) .. ".html"
  end
  local picture = path:match("^docs/(.*%.svg)$") or path:match("^docs/(.*%.png)$")
  return picture or "source/" .. path .. ".html"
end

--- The way from one page to another.
function paths.relative(from, to)
  return ("../"):rep(select(2, from:gsub("/", ""))) .. to
end

--- A link of a document as path and anchor: nil where it leads elsewhere.
function paths.target(from, link)
  if link:find("^%a[%w+.-]*:") then
    return nil
  end
  local path, fragment = link:match("^([^#]*)(#?.*)$")
  if path == "" then
    return from, fragment
  end
  return paths.normal((from:match("^(.*/)") or "") .. path), fragment
end

return paths
