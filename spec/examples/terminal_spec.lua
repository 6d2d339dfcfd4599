-- examples/basic.lua and examples/eliza.lua: each as a process that ends and starts again.
local backends = require "spec.support.backends"
local convstore = require "convstore"
local example = require "spec.support.example"
local shell = require "spec.support.shell"

describe("the first example #sqlite", function()
  it("has the question and the answer of each run, and knows those before", function()
    local folder = shell.folder()
    finally(function()
      shell.remove(folder)
    end)
    assert.equal("I have heard 1 messages so far, the last one: Hello there\n",
      example.run(folder, "examples/basic.lua"))
    assert.equal("I have heard 3 messages so far, the last one: Hello there\n",
      example.run(folder, "examples/basic.lua"))
    local store <close> = assert(convstore.open(folder .. "/bot.db"))
    assert.equal(4, assert(store:user(42):conversation("telegram:1001")).last_seq)
  end)
end)

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the terminal bot, with " .. backend.name .. " " .. backend.tags, function()
      local store, database

      before_each(function()
        store, database = backend.fresh()
      end)
      after_each(backends.clean)

      local function talk(...)
        return example.run(database.folder, "examples/eliza.lua", { database.dsn, "alice" }, nil, { ... })
      end

      it("remembers what was said before its death", function()
        local bot = example.start(database.folder, "examples/eliza.lua", { database.dsn, "alice" })
        assert.truthy(bot:line():find("Hello alice", 1, true))
        bot:tell("I need a holiday")
        assert.truthy(bot:line():find("a holiday", 1, true))
        bot:kill()
        bot:finish()
        local output = talk("/history", "/search HOLIDAY", "/help", "my dog is ill", "/quit")
        assert.truthy(output:find("Last time you said: “I need a holiday”", 1, true), output)
        assert.truthy(output:find("alice: I need a holiday\n", 1, true), output)
        assert.truthy(output:find("- I need a holiday\n", 1, true), output)
        assert.truthy(output:find("Your dog is ill", 1, true), output)
        database:assert_sound()
      end)

      it("begins anew, and forgets, when it is told to", function()
        talk("hello", "/new", "I am tired")
        assert.equal(2, #assert(store:user("alice"):list()))
        assert.truthy(talk("/forget"):find("All of it is gone", 1, true))
        local user = store:user("alice")
        assert.same({}, assert(user:messages()))
        assert.equal(1, #assert(user:list()))
        assert.truthy(talk():find("Hello alice", 1, true))
      end)
    end)
  end
end
