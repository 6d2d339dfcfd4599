-- A short run of the fuzzer of methods, with seeds that once found something and some others; `make fuzz` runs it long
-- and under the sanitizers.
local shell = require "spec.support.shell"

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

describe("the fuzzer of methods", function()
  local function run(seed, backend)
    local ok, output = shell.run(("%s spec/fuzz/methods.lua 60 %d %s 3"):format(LUA, seed, backend))
    assert.message(output).is_true(ok)
    assert.matches("%d+ calls of %d+ methods in 3 rounds", output)
  end

  it("finds nothing on SQLite #sqlite", function()
    for seed = 1, 2 do
      run(seed, "memory")
      run(seed, "file")
    end
  end)

  it("finds nothing on PostgreSQL #postgres", function()
    if not os.getenv("CONVSTORE_TEST_POSTGRES_URL") then return pending("there is no PostgreSQL server") end
    run(1, "postgres")
  end)
end)
