-- The functions of the module itself: ids, times, the JSON marks.
local convstore = require "convstore"
local check = require "spec.support.check"
local shell = require "spec.support.shell"
local process = require "spec.support.process"

describe("convstore", function()
  it("says its version, the one of the C header", function()
    local header = assert(shell.read("csrc/convstore.h"))
    assert.equal("convstore " .. header:match('#define CONVSTORE_VERSION "([^"]+)"'), convstore._VERSION)
    assert.truthy(convstore._VERSION:find("^convstore %d+%.%d+%.%d+$"))
  end)

  it("makes no global variable", function()
    local folder = shell.folder()
    assert.equal("", process.run(folder, "globals"))
    shell.remove(folder)
  end)

  describe("uuid", function()
    it("gives version 7 UUIDs that say when they were made", function()
      local id = convstore.uuid()
      check.uuid7(id)
      check.just_now(tonumber(id:sub(1, 8) .. id:sub(10, 13), 16))
    end)

    it("grows within a process, however many are asked for at once", function()
      local last, disorder = "", 0
      for _ = 1, 20000 do
        local id = convstore.uuid()
        disorder = disorder + (id > last and 0 or 1)
        last = id
      end
      assert.equal(0, disorder)
    end)

    it("gives no two processes the same one", function()
      local folder = shell.folder()
      local seen, n = {}, 0
      for _ = 1, 2 do
        for id in process.run(folder, "uuids", { 2000 }):gmatch("%S+") do
          if n > 0 and id:find("-", 1, true) then
            assert.is_nil(seen[id])
          end
          seen[id] = true
          n = n + 1
        end
      end
      shell.remove(folder)
      assert.equal(4000, n)
    end)
  end)

  describe("iso8601", function()
    it("writes a time in UTC with its milliseconds", function()
      assert.equal("1970-01-01T00:00:00.000Z", convstore.iso8601(0))
      assert.equal("2026-01-31T23:59:59.123Z", convstore.iso8601(1769903999123))
      assert.equal("2000-02-29T00:00:00.001Z", convstore.iso8601(951782400001))
      assert.equal("2100-03-01T00:00:00.000Z", convstore.iso8601(4107542400000))
      assert.equal("9999-12-31T23:59:59.999Z", convstore.iso8601(253402300799999))
    end)

    it("knows the times before 1970", function()
      assert.equal("1969-12-31T23:59:59.999Z", convstore.iso8601(-1))
      assert.equal("0000-01-01T00:00:00.000Z", convstore.iso8601(-62167219200000))
    end)

    it("takes a float of integer value", function()
      assert.equal("1970-01-01T00:00:05.000Z", convstore.iso8601(5000.0))
    end)

    it("agrees with os.date on every day of two centuries", function()
      local wrong
      for day = 0, 365 * 200 do
        local seconds = day * 86400 + day % 86400
        if os.date("!%Y-%m-%dT%H:%M:%S.000Z", seconds) ~= convstore.iso8601(seconds * 1000) then
          wrong = day
        end
      end
      assert.is_nil(wrong)
    end)

    it("refuses a year that has no four digits", function()
      check.fails("invalid", "year", convstore.iso8601(253402300800000))
      check.fails("invalid", "year", convstore.iso8601(-62167219200001))
      check.fails("invalid", "year", convstore.iso8601(math.maxinteger))
      check.fails("invalid", "year", convstore.iso8601(math.mininteger))
    end)

    it("raises for what is no integer", function()
      check.argument("#1", convstore.iso8601)
      check.argument("#1", convstore.iso8601, {})
      check.argument("#1", convstore.iso8601, 1.5)
      check.argument("#1", convstore.iso8601, 2.0 ^ 53)
      check.argument("#1", convstore.iso8601, "1000")
    end)
  end)

  describe("null", function()
    it("is the NULL light userdata, as lua-cjson has it", function()
      assert.equal("userdata", type(convstore.null))
      assert.equal(require("cjson").null, convstore.null)
    end)
  end)

  describe("array", function()
    it("marks the table that it is given, as JSON libraries do", function()
      local t = { 1, 2 }
      assert.equal(t, convstore.array(t))
      assert.equal("array", getmetatable(t).__jsontype)
      assert.equal("convstore.array", getmetatable(t).__name)
      assert.equal(getmetatable(t), getmetatable(convstore.array {}))
    end)

    it("raises for what is no table", function()
      check.argument("#1", convstore.array)
      check.argument("#1", convstore.array, "x")
    end)
  end)
end)
