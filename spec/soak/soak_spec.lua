-- The soak run (main.lua) sees a leak where there is one: of memory, of a descriptor, of prepared statements.
-- That it sees none is for `make soak` to show.
local backends = require "spec.support.backends"
local judge = require "spec.soak.judge"
local shell = require "spec.support.shell"

describe("the soak run", function()
  local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

  local function run(database, plant, cycles)
    return shell.run(("LUA_PATH=%s LUA_CPATH=%s CONVSTORE_SOAK_PLANT=%s %s spec/soak/main.lua %d %s 1")
      :format(shell.quote(package.path), shell.quote(package.cpath), plant, LUA, cycles, database))
  end

  for _, backend in ipairs({ "sqlite", "postgres" }) do
    local tested = false
    for _, entry in ipairs(backends) do tested = tested or entry.name == backend end

    describe("on " .. backend .. " #" .. backend, function()
      if not tested then return end

      it("sees memory that is never freed", function()
        if LUA:find("asan", 1, true) then
          pending("the sanitizer's heap has no figures, and it finds such leaks itself")
          return
        end
        local ok, output = run(backend, "memory", 200)
        assert.is_false(ok, output)
        assert.truthy(output:find(backend .. ": heap grew by %d+ in the second half"), output)
      end)

      it("sees descriptors that are never closed", function()
        local ok, output = run(backend, "descriptor", 100)
        assert.is_false(ok, output)
        assert.truthy(output:find(backend .. ": descriptors: %d+ at cycle %d+, %d+ at cycle %d+"), output)
        assert.truthy(output:find("descriptors before the first store was opened", 1, true), output)
      end)

      it("sees statements that are prepared again and again", function()
        local ok, output = run(backend, "statement", 100)
        assert.is_false(ok, output)
        assert.truthy(output:find(backend .. ": %d+ statements are prepared twice on one connection"), output)
        if backend == "sqlite" then
          assert.truthy(output:find("1 connections of SQLite are left", 1, true), output)
        end
      end)
    end)
  end

  describe("judges", function()
    -- A hundred samples; `change(sample, i)` makes of each what it is.
    local function verdict(change)
      local samples = {}
      for i = 1, 100 do
        samples[i] = { cycle = i * 10, heap = 1000000, entries = 500, rss = 5000000, descriptors = 9,
          threads = 1, connections = 3, statements = 80, twice = 0, idle_in_transaction = 0 }
        if change then change(samples[i], i) end
      end
      return judge.verdict(samples)
    end

    it("what grows in the first half alone, or was fuller for a while, to be flat", function()
      assert.same({}, verdict())
      assert.same({}, verdict(function(sample, i) sample.heap = sample.heap + math.min(i, 50) * 100000 end))
      assert.same({}, verdict(function(sample, i)
        if i % 7 == 0 then sample.rss = sample.rss * 10 end
      end))
      assert.same({}, verdict(function(sample, i) sample.descriptors = i > 20 and 10 or 9 end))
    end)

    it("what grows to grow", function()
      for _, case in ipairs({
        { "heap grew", function(sample, i) sample.heap = sample.heap + i * 6000 end },
        { "rss grew", function(sample, i) sample.rss = sample.rss + i * 160000 end },
        { "entries grew", function(sample, i) sample.entries = sample.entries + i * 3 end },
        { "descriptors: 9", function(sample, i) sample.descriptors = i == 100 and 10 or 9 end },
        { "threads: 1", function(sample, i) sample.threads = i > 60 and 2 or 1 end },
        { "connections: 3", function(sample, i) sample.connections = i > 60 and 4 or 3 end },
        { "1 statements are prepared twice", function(sample, i) sample.twice = i == 5 and 1 or 0 end },
        { "161 statements", function(sample, i) sample.statements = i == 5 and 161 or 80 end },
        { "left in a transaction", function(sample, i) sample.idle_in_transaction = i == 5 and 1 or 0 end },
      }) do
        local wrong = verdict(case[2])
        assert.equal(1, #wrong)
        assert.equal(1, wrong[1]:find(case[1], 1, true) and 1, wrong[1])
      end
    end)

    it("too few samples to be none", function()
      assert.truthy(judge.verdict({})[1]:find("too few", 1, true))
    end)
  end)
end)
