-- The small parts of the command: times, text on a screen, JSON, the nearest word.
local cjson = require "cjson"
local convstore = require "convstore"
local check = require "spec.support.check"
local json_text = require "convstore.json_text"
local nearest = require "convstore.command.nearest"
local shell = require "spec.support.shell"
local system = require "system"
local text = require "convstore.command.text"
local times = require "convstore.command.times"

describe("the command's times", function()
  it("agree with date(1) on dates of seven centuries", function()
    local dates = {}
    for year = 1600, 2300, 7 do
      for _, day in ipairs({ "01-01", "02-28", "03-01", "12-31" }) do
        dates[#dates + 1] = ("%04d-%s"):format(year, day)
      end
      if os.date("!*t", os.time({ year = year, month = 2, day = 29, hour = 12 })).month == 2 then
        dates[#dates + 1] = ("%04d-02-29"):format(year)
      end
    end
    local ok, output = shell.run(
      ("printf '%%s\\n' %s | TZ=UTC0 date -u -f - +%%s"):format(table.concat(dates, " ")))
    assert.is_true(ok, output)
    local i = 0
    for seconds in output:gmatch("%S+") do
      i = i + 1
      assert.equal(math.tointeger(tonumber(seconds)) * 1000, times.parse(dates[i], true), dates[i])
    end
    assert.equal(#dates, i)
  end)

  it("know the zone of a time", function()
    assert.equal(1769860800123, times.parse("2026-01-31T12:00:00.123Z", false))
    assert.equal(1769860800000, times.parse("2026-01-31t12:00:00z", false))
    assert.equal(1769860800000, times.parse("2026-01-31 12:00", true))
    assert.equal(1769860800000, times.parse("2026-01-31T14:00+02:00", false))
    assert.equal(1769860800000, times.parse("2026-01-31T08:30:00-0330", false))
    assert.equal(1769860800000, times.parse("2026-01-31T12:00:00.0009Z", false))
  end)

  it("know ages", function()
    local ages = { ["0s"] = 0, ["5m"] = 300, ["12h"] = 43200, ["30d"] = 2592000, ["2w"] = 1209600 }
    for age, seconds in pairs(ages) do
      assert.is_true(math.abs(os.time() - seconds - times.parse(age, false) // 1000) <= 1, age)
    end
  end)

  it("count ages from now, to the millisecond", function()
    for _ = 1, 20 do
      local before = system.gettime() * 1000
      local parsed = times.parse("1m", false) + 60000
      assert.is_true(parsed >= before - 1 and parsed <= system.gettime() * 1000 + 1)
      system.sleep(0.01)
    end
  end)

  it("are no times where a calendar or a clock has none", function()
    for _, wrong in ipairs({
      "", "x", "2026", "2026-1-1", "2026-00-01", "2026-01-00", "2026-04-31", "2100-02-29", "2026-01-01T24:00",
      "2026-01-01T12:60", "2026-01-01T12:00:60", "2026-01-01T", "2026-01-01T12", "2026-01-01T12:00.5",
      "2026-01-01T12:00X", "2026-01-01T12:00+1", "2026-01-01T12:00+01:60", "2026-01-01T12:00+24:00",
      "1.5d", "-1d", "9999999999d",
    }) do
      assert.is_nil(times.parse(wrong, true), wrong)
    end
    assert.truthy(times.parse("2000-02-29", true))
  end)
end)

describe("the command's text", function()
  it("shows what would steer a terminal", function()
    assert.equal("a\\x00b\\x1b[1m\\x7f\\x85\tx\ny\\x0d", text.plain("a\0b\27[1m\127\u{85}\tx\r\ny\r"))
    assert.equal("a\\u{202e}b\\u{2066}\\u{2028}", text.plain("a\u{202E}b\u{2066}\u{2028}"))
    assert.equal("é 印 😀", text.plain("é 印 😀"))
    assert.equal("a b c", text.line("  a\n\n b\tc "))
  end)

  it("counts columns, and cuts by them", function()
    assert.equal(1, text.width("é"))
    assert.equal(1, text.width("e\u{301}"))
    assert.equal(4, text.width("印刷"))
    assert.equal(2, text.width("😀"))
    assert.equal(4, text.width("⭐⚡"))
    assert.equal(2, text.width("❤\u{FE0F}")) -- as a picture
    assert.equal(1, text.width("❤"))
    assert.equal(2, text.width("⭐\u{FE0F}"))
    assert.equal(1, text.width("a\u{FE0F}"))
    assert.equal("⭐…", text.cut("⭐⚡x", 4))
    assert.equal("印刷", text.cut("印刷", 4))
    assert.equal("印…", text.cut("印刷", 3))
    assert.equal("ab…", text.cut("abcd", 3))
    assert.equal("e\u{301}…", text.cut("e\u{301}bcd", 2))
  end)

  it("finds the nearest word, or none", function()
    local words = { "list", "show", "search", "stats", "migrate" }
    assert.equal("list", nearest("lsit", words))
    assert.equal("list", nearest("LIST", words))
    assert.equal("stats", nearest("status", words))
    assert.equal("migrate", nearest("mi", words))
    assert.is_nil(nearest("x", words))
    assert.is_nil(nearest("frobnicate", words))
    assert.is_nil(nearest("", words))
  end)
end)

describe("the command's JSON", function()
  it("is what a JSON library reads back", function()
    local value = {
      s = "\1\31\127\u{9b}\"\\/\n\t é 印 😀",
      i = math.mininteger, f = 0.1, whole = 5.0, huge = 1e300, tiny = 5e-324,
      yes = true, no = false, none = convstore.null,
      empty = {}, list = convstore.array({}), nested = { 1, { a = 2 } },
    }
    local encoded = json_text(value)
    assert.falsy(encoded:find("%c"))
    assert.falsy(encoded:find("\u{9b}", 1, true))
    local decoded = cjson.decode(encoded)
    assert.equal(value.s, decoded.s)
    assert.equal(0.1, decoded.f)
    assert.equal(5e-324, decoded.tiny)
    assert.equal(convstore.null, decoded.none)
    assert.same({ 1, { a = 2 } }, decoded.nested)
    assert.truthy(encoded:find('"i":-9223372036854775808', 1, true))
    assert.truthy(encoded:find('"whole":5.0', 1, true))
    assert.truthy(encoded:find('"empty":{},', 1, true) and encoded:find('"list":[],', 1, true))
  end)

  it("gives the same text for the same value, keys in order", function()
    assert.equal('{"a":1,"b":{"c":[1,2]},"z":0.5}', json_text({ z = 0.5, a = 1, b = { c = { 1, 2 } } }))
  end)

  it("refuses what JSON cannot say", function()
    check.raises("JSON has no", json_text, { print })
    check.raises("JSON has no", json_text, 0 / 0)
    check.raises("JSON has no", json_text, math.huge)
  end)
end)
