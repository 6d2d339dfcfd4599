-- The examples as a whole: short, listed, and each with a spec that runs it.
local lfs = require "lfs"
local shell = require "spec.support.shell"

describe("the examples", function()
  local readme = shell.read("examples/README.md")
  local specs = {}
  for name in lfs.dir("spec/examples") do
    if name:find("_spec%.lua$") and name ~= "readme_spec.lua" then
      specs[#specs + 1] = shell.read("spec/examples/" .. name)
    end
  end
  for name in lfs.dir("spec/support") do
    specs[#specs + 1] = name == "xmpp.lua" and shell.read("spec/support/" .. name) or nil
  end
  local tested = table.concat(specs)

  local n = 0
  for name in lfs.dir("examples") do
    if name:find("%.lua$") then
      n = n + 1
      it("have " .. name .. " in less than 80 lines, in their README and in a spec", function()
        local _, lines = shell.read("examples/" .. name):gsub("\n", "")
        assert.is_true(lines < 80, lines .. " lines")
        assert.truthy(readme:find("](" .. name .. ")", 1, true))
        local module = name:match("^mod_(.*)%.lua$")
        assert.truthy(tested:find(module and '"' .. module .. '"' or '"examples/' .. name .. '"', 1, true))
      end)
    end
  end

  it("are those that their README names", function()
    local _, named = readme:gsub("%]%([%w_]+%.lua%)", "")
    assert.equal(n, named)
  end)
end)
