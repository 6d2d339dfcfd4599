-- examples/openai_bot.lua against a server that this spec is: streamed answers, failures, and death in mid-answer.
local backends = require "spec.support.backends"
local convstore = require "convstore"
local example = require "spec.support.example"
local model_server = require "spec.support.model_server"
local shell = require "spec.support.shell"

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the bot for chat-completions, with " .. backend.name .. " " .. backend.tags, function()
      local store, database, server, env

      before_each(function()
        store, database = backend.fresh()
        server = model_server.listen()
        env = {
          USER = "alice", OPENAI_BASE_URL = server.url, OPENAI_API_KEY = "key-of-the-test",
          OPENAI_MODEL = "m-1", no_proxy = "127.0.0.1",
        }
      end)

      after_each(function()
        server:close()
        backends.clean()
      end)

      local function start()
        return example.start(database.folder, "examples/openai_bot.lua", { database.dsn }, env)
      end

      local function history()
        return assert(assert(store:user("alice"):conversation("terminal")):history())
      end

      local function draft()
        local chat = assert(store:user("alice"):conversation("terminal"))
        return (chat.metadata or {}).draft
      end

      it("streams an answer, stores it once, and sends what was said before", function()
        local bot = start()
        bot:tell("Hello there")
        local request = server:accept()
        assert.equal("POST /v1/chat/completions HTTP/1.1", request.line)
        assert.equal("Bearer key-of-the-test", request.headers.authorization)
        assert.equal("m-1", request.body.model)
        assert.is_true(request.body.stream)
        assert.same({ "system", "user" }, { request.body.messages[1].role, request.body.messages[2].role })
        request:stream()
        request:say("Good ")
        request:say("morning\27[2J.")
        request:done()
        assert.equal("Good morning[2J.", bot:line())

        bot:tell("And now?")
        request = server:accept()
        assert.same({ role = "assistant", content = "Good morning\27[2J." }, request.body.messages[3])
        assert.same({ role = "user", content = "And now?" }, request.body.messages[4])
        request:stream()
        request:say("Still morning.")
        request:done()
        local output, ok, errors = bot:finish()
        assert.is_true(ok, errors)
        assert.equal("Still morning.\n", output)
        assert.equal(5, #history())
        assert.is_nil(history()[3].metadata)
        assert.is_nil(draft())
      end)

      it("keeps what had come when it is killed in the middle, and goes on from there", function()
        local bot = start()
        bot:tell("Tell me a story")
        local request = server:accept()
        request:stream()
        request:say("Once upon a time ")
        example.wait_until(draft)
        -- Pieces within one second wait for the next one's first.
        example.wait_until(function()
          request:say(".")
          return draft().text:find("time .", 1, true)
        end)
        assert.equal(2, #history()) -- the answer is no message yet
        bot:kill()
        request:close()
        bot:finish()
        local kept = draft()
        assert.truthy(kept.text:find("^Once upon a time %.+$"))

        bot = start()
        bot:tell("Go on")
        request = server:accept()
        assert.same({ role = "assistant", content = kept.text }, request.body.messages[3])
        assert.same({ role = "user", content = "Go on" }, request.body.messages[4])
        request:stream()
        request:say("there was a bot.")
        request:done()
        assert.is_true(select(2, bot:finish()))
        local messages = history()
        assert.equal(5, #messages)
        assert.equal(kept.id, messages[3].id)
        assert.is_true(messages[3].metadata.interrupted)
        assert.equal("there was a bot.", messages[5].content)
        assert.is_nil(draft())
        database:assert_sound()
      end)

      it("takes away a draft whose answer is stored already", function()
        local chat = assert(store:user("alice"):conversation("terminal"))
        local id = convstore.uuid()
        assert(chat:append("user", "Hello"))
        -- As after a commit whose answer did not arrive: the message is there, and so is the draft.
        assert(chat:append("assistant", "Half an", { id = id, metadata = { interrupted = true } }))
        assert(chat:update({ metadata = { draft = { id = id, text = "Half an" }, other = 1 } }))
        assert.is_true(select(2, start():finish()))
        assert.equal(2, #history())
        assert.same({ other = 1 }, assert(store:user("alice"):conversation("terminal")).metadata)
      end)

      it("keeps a half answer where the connection breaks, and asks again", function()
        local bot = start()
        bot:tell("Hello")
        local request = server:accept()
        request:stream()
        request:say("Good mor")
        example.wait_until(draft)
        request:close()
        assert.equal("Good mor", bot:line())
        assert.truthy(bot:line():find("broke off", 1, true))
        bot:tell("")
        request = server:accept()
        assert.equal(3, #request.body.messages)
        assert.equal("Good mor", request.body.messages[3].content)
        request:answer("429 Too Many Requests", '{"error":{"message":"Slow down,\27[2J please"}}')
        local output = bot:finish()
        assert.truthy(output:find("Slow down,[2J please", 1, true), output)
        assert.equal(3, #history())
        assert.is_true(history()[3].metadata.interrupted)
      end)

      it("says so where nobody listens, and leaves no file behind", function()
        server:close()
        local text = "Hello " .. convstore.uuid()
        local bot = start()
        bot:tell(text)
        local output = bot:finish()
        assert.truthy(output:find("broke off.*curl: %(7%)"), output)
        assert.equal(text, history()[2].content)
        -- os.tmpname's files, which hold the request until curl has opened it.
        assert.is_false(shell.run("grep -qsF " .. shell.quote(text) .. " /tmp/lua_*"))
      end)
    end)
  end
end
