-- conv:message: one message, by its number or its id.
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local MISSING = "00000000-0000-7000-8000-000000000000"

for _, backend in ipairs(backends) do
  describe("message " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh()
      local store = backend.fresh()
      local alice = store:user("alice")
      return assert(alice:conversation("a")), alice
    end

    it("is found by its seq and by its id", function()
      local chat = fresh()
      local first, second = assert(chat:append("user", "1")), assert(chat:append("assistant", "2"))
      check.same_json(first, assert(chat:message(1)))
      check.same_json(second, assert(chat:message(2)))
      check.same_json(second, assert(chat:message(2.0)))
      check.same_json(first, assert(chat:message(first.id)))
      check.same_json(second, assert(chat:message(second.id)))
    end)

    it("that does not exist gives not_found, naming it", function()
      local chat = fresh()
      check.fails("not_found", "1", chat:message(1))
      assert(chat:append("user", "1"))
      check.fails("not_found", "2", chat:message(2))
      check.fails("not_found", tostring(math.maxinteger), chat:message(math.maxinteger))
      check.fails("not_found", MISSING, chat:message(MISSING))
    end)

    it("of another conversation is not found here", function()
      local chat, alice = fresh()
      local id = assert(assert(alice:create()):append("user", "x")).id
      check.fails("not_found", id, chat:message(id))
    end)

    it("gives invalid for what can't be a seq or an id", function()
      local chat = fresh()
      for _, seq in ipairs({ 0, -1, math.mininteger }) do
        check.fails("invalid", "seq", chat:message(seq))
      end
      for _, id in ipairs({ "", "1", "x", MISSING:upper() .. "A", MISSING .. "\0", "\255",
        "A" .. MISSING:sub(2) }) do
        check.fails("invalid", "id", chat:message(id))
      end
    end)

    it("raises for wrong types", function()
      local chat = fresh()
      check.argument("#1", chat, "message")
      for _, wrong in ipairs({ true, {}, 1.5, 2.0 ^ 53, 0 / 0, print }) do
        check.argument("#1", chat, "message", wrong)
      end
    end)
  end)
end
