-- Prints the rockspec of a version, made from that of development: lua5.4 tools/release_rockspec.lua VERSION
-- They differ in their version and their source alone. LuaRocks lets no rockspec read another one, hence a copy, which
-- spec/rockspec_spec.lua compares.
local version = assert(arg[1], "usage: lua5.4 tools/release_rockspec.lua VERSION")

local SOURCE = [[
source = {
  -- What "make dist" puts beside this file, where "luarocks install" needs no network. For a rocks server it
  -- must be the address from which all can have that file.
  url = "file://convstore-%s.tar.gz",
  dir = "convstore-%s",
}
]]

local file <close> = assert(io.open("rockspec/convstore-dev-1.rockspec"))
local text = file:read("a")

-- The text with what matches, which must be there once, replaced.
local function replace(pattern, replacement)
  local changed, n = text:gsub(pattern, function() return replacement end)
  assert(n == 1, "the rockspec of development is not as expected at " .. pattern)
  text = changed
end

replace('version = "dev%-1"\n', ('version = "%s-1"\n'):format(version))
replace("source = {\n.-\n}\n", SOURCE:format(version, version))
io.write(text)
