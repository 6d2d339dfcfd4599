-- The users of hammer.lua see a foreign row where there is one. That there is none is for `make isolation` to show.
local shell = require "spec.support.shell"

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

describe("users who share a database", function()
  local function hammer(database)
    local ok, output = shell.run(("LUA_PATH=%s LUA_CPATH=%s CONVSTORE_ISOLATION_PLANT=1 %s"
      .. " spec/isolation/hammer.lua 2 2 %s"):format(shell.quote(package.path), shell.quote(package.cpath),
      LUA, database))
    assert.is_false(ok, output)
    assert.truthy(output:find("usera saw a row of userb", 1, true), output)
    assert.truthy(output:find("foreign rows by plain SQL", 1, true), output)
  end

  it("see a foreign row in one file #sqlite", function() hammer("sqlite") end)

  if os.getenv("CONVSTORE_TEST_PGBOUNCER_URL") then
    it("see a foreign row through shared connections #postgres", function() hammer("pgbouncer") end)
  end
end)
