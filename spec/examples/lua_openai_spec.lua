-- examples/lua_openai.lua against a server that this spec is, with lua-openai where it is installed, else with its
-- stand-in (spec/support/openai.lua).
local backends = require "spec.support.backends"
local example = require "spec.support.example"
local model_server = require "spec.support.model_server"

describe("lua-openai's session, restored and saved #sqlite", function()
  local store, database, server, env

  before_each(function()
    store, database = backends.sqlite.fresh()
    server = model_server.listen()
    local root = require("lfs").currentdir()
    env = {
      USER = "alice", OPENAI_API_KEY = "key-of-the-test", OPENAI_MODEL = "m-1", OPENAI_BASE_URL = server.url,
      LUA_PATH = example.lua_path() .. ";" .. root .. "/spec/support/?.lua",
    }
  end)

  after_each(function()
    server:close()
    backends.clean()
  end)

  local function start()
    return example.start(database.folder, "examples/lua_openai.lua", { database.dsn }, env)
  end

  local function conversation()
    return assert(store:user("alice"):conversation("lua-openai"))
  end

  local CALL = { id = "c1", type = "function", ["function"] = { name = "now", arguments = "{}" } }

  it("goes on where it was, with its calls of tools", function()
    local bot = start()
    bot:tell("What time is it?")
    local request = server:accept()
    assert.equal("Bearer key-of-the-test", request.headers.authorization)
    assert.same({ { role = "user", content = "What time is it?" } }, request.body.messages)
    assert.equal("now", request.body.tools[1]["function"].name)
    -- As that API writes it: a null for what there is not.
    request:answer("200 OK", [[{"usage":{},"choices":[{"message":{"role":"assistant","content":null,
      "tool_calls":[{"id":"c1","type":"function","function":{"name":"now","arguments":"{}"}}]}}]}]])
    request = server:accept()
    assert.same({ CALL }, request.body.messages[2].tool_calls)
    assert.equal("tool", request.body.messages[3].role)
    assert.truthy(request.body.messages[3].content:find("^%d+%-%d+%-%d+ %d+:%d+$"))
    assert.equal("c1", request.body.messages[3].tool_call_id)
    bot:kill() -- while it waits
    request:complete({ role = "assistant", content = "lost" })
    bot:finish()
    assert.equal(3, conversation().last_seq)

    bot = start()
    bot:tell("Well?")
    request = server:accept()
    assert.equal(4, #request.body.messages)
    assert.same({ CALL }, request.body.messages[2].tool_calls)
    assert.equal("Well?", request.body.messages[4].content)
    request:answer("200 OK", [[{"usage":{},"choices":[{"message":{"role":"assistant","content":"Tea time.",
      "tool_calls":null,"refusal":null}}]}]])
    local output, ok, errors = bot:finish()
    assert.is_true(ok, errors)
    assert.equal("Tea time.\n", output)
    local messages = assert(conversation():history())
    assert.equal(5, #messages)
    assert.same({ CALL }, messages[2].tool_calls)
    assert.is_nil(messages[2].content)
    assert.is_nil(messages[5].tool_calls)
    database:assert_sound()
  end)

  it("keeps the question where the model refuses or is not there", function()
    assert(conversation():append("developer", "Be brief."))
    local bot = start()
    bot:tell("One")
    local request = server:accept()
    assert.equal("system", request.body.messages[1].role)
    request:answer("429 Too Many Requests", '{"error":{"message":"Slow down, please"}}')
    assert.truthy(bot:line():find("429: Slow down, please", 1, true))
    assert.is_true(select(2, bot:finish()))
    server:close() -- no other process has it open now
    bot = start()
    bot:tell("Two")
    assert.truthy(bot:line():find("refused", 1, true))
    assert.is_true(select(2, bot:finish()))
    local said = {}
    for i, message in ipairs(assert(conversation():history())) do
      said[i] = message.content
    end
    assert.same({ "Be brief.", "One", "Two" }, said)
  end)
end)
