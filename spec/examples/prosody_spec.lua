-- examples/mod_convstore_bot.lua in a real Prosody, spoken to by a real client.
local backends = require "spec.support.backends"
local example = require "spec.support.example"

local prosody, missing = example.server("prosody")

describe("the module for Prosody #sqlite", function()
  if not prosody then
    pending("is not tested: " .. missing)
    return
  end

  local xmpp = require "spec.support.xmpp"
  local store, database, server

  before_each(function()
    store, database = backends.sqlite.fresh()
    server = xmpp.start(prosody, database.folder, database.dsn)
  end)

  after_each(function()
    server:kill()
    server:finish()
    backends.clean()
  end)

  it("answers each user on each address, and remembers through a restart", function()
    local alice = xmpp.login(server.port, "alice")
    local answer = alice:ask("eliza@bot.localhost", "metatables & <recipes>")
    assert.equal("eliza@bot.localhost", answer.from)
    assert.equal("I remember 1 messages, the last one: metatables & <recipes>", xmpp.text(answer, "body"))
    answer = alice:ask("bot.localhost/here", "tea")
    assert.equal("I remember 1 messages, the last one: tea", xmpp.text(answer, "body"))
    alice:close()

    local port = server.port
    server:kill()
    server:finish()
    server = xmpp.start(prosody, database.folder, database.dsn, port)
    alice = xmpp.login(port, "alice")
    answer = alice:ask("eliza@bot.localhost", "!search RECIPES")
    assert.equal("1 found\nmetatables & <recipes>", xmpp.text(answer, "body"))
    answer = alice:ask("eliza@bot.localhost/there", "and now?")
    assert.equal("I remember 3 messages, the last one: and now?", xmpp.text(answer, "body"))
    alice:close()

    local bob = xmpp.login(port, "bob")
    answer = bob:ask("eliza@bot.localhost", "!search recipes")
    assert.equal("0 found", xmpp.text(answer, "body"))
    bob:close()

    local keys = {}
    for _, listed in ipairs(assert(store:user("xmpp:alice@localhost"):list({ order = "created" }))) do
      keys[#keys + 1] = listed.key
    end
    assert.same({ "bot.localhost", "eliza@bot.localhost" }, keys)
    database:assert_sound()
  end)

  it("stores a message once that the client sends again, and never answers errors or receipts", function()
    local alice = xmpp.login(server.port, "alice")
    local origin = "<origin-id xmlns='urn:xmpp:sid:0' id='one'/>"
    alice:ask("bot.localhost", "once", origin)
    alice:ask("bot.localhost", "once", origin)
    alice:send("<message to='bot.localhost' type='error'><body>no</body></message>")
    alice:send("<message to='bot.localhost'><received xmlns='urn:xmpp:receipts' id='x'/></message>")
    assert.truthy(xmpp.text(alice:ask("bot.localhost", "next"), "body"):find("next$"))
    -- Another text under the same origin-id is no second try, so it is refused and not lost in silence.
    local refusal = alice:ask("bot.localhost", "other", origin)
    assert.equal("error", refusal.type)
    alice:close()
    local chat = assert(store:user("xmpp:alice@localhost"):conversation("bot.localhost"))
    local said = {}
    for _, message in ipairs(assert(chat:history({ role = "user" }))) do
      said[#said + 1] = message.content
    end
    assert.same({ "once", "next" }, said)
  end)

  it("tells the client to try again where the database is busy", function()
    local alice = xmpp.login(server.port, "alice")
    local held = database:hold()
    local answer = alice:ask("bot.localhost", "hello")
    held.release()
    assert.equal("error", answer.type)
    local failure = answer[#answer]
    for _, child in ipairs(answer) do
      failure = child[0] == "error" and child or failure
    end
    assert.equal("wait", failure.type)
    assert.truthy(xmpp.text(alice:ask("bot.localhost", "hello"), "body"))
    alice:close()
  end)
end)
