-- examples/irc_bot.lua on a real IRC server, with real people.
local backends = require "spec.support.backends"
local example = require "spec.support.example"
local irc = require "spec.support.irc"

local ngircd, missing = example.server("ngircd")

describe("the IRC bot #sqlite", function()
  if not ngircd then
    pending("is not tested: " .. missing)
    return
  end

  local store, database, server, bot, alice

  local function start_bot(nick)
    bot = example.start(database.folder, "examples/irc_bot.lua",
      { "127.0.0.1", server.port, nick or "eliza", "#lua,#tea", database.dsn })
  end

  -- Joins first, so that it sees the bot come.
  before_each(function()
    store, database = backends.sqlite.fresh()
    server = irc.start(ngircd, database.folder)
    alice = irc.join(server.port, "Alice", "#lua,#tea")
    start_bot()
    alice:wait_for("^:eliza!.*JOIN :#tea")
  end)

  after_each(function()
    alice:close()
    bot:kill()
    bot:finish()
    server:kill()
    server:finish()
    backends.clean()
  end)

  -- A message and what the bot answers, without the time and the prefix.
  local function ask(person, place, text)
    person:send(("PRIVMSG %s :%s"):format(place, text))
    local said = person:wait_for(" NOTICE "):match("^:eliza!%S+ NOTICE %S+ :(.*)$")
    return (said:gsub("%d+%-%d+%-%d+T%d+:%d+:%d+%.%d+Z", "TIME"))
  end

  it("remembers each channel and each nick through its death, apart from each other", function()
    alice:send("PRIVMSG #lua :metatables are like recipes")
    alice:send("PRIVMSG #tea :oolong is best")
    assert.equal("I remember 2 lines, the last one: eliza, you here?", ask(alice, "#lua", "eliza, you here?"))
    assert.equal("I remember 1 lines, the last one: secret oolong", ask(alice, "eliza", "secret oolong"))

    bot:kill()
    bot:finish()
    alice:wait_for("^:eliza!.*QUIT")
    start_bot()
    alice:wait_for("^:eliza!.*JOIN :#tea")

    assert.equal("TIME Alice: metatables are like recipes", ask(alice, "#lua", "!search RECIPES"))
    assert.equal("Nobody said so here.", ask(alice, "#lua", "!search oolong"))
    assert.equal("TIME Alice: oolong is best", ask(alice, "#tea", "!search oolong"))
    assert.equal("TIME Alice: secret oolong", ask(alice, "eliza", "!search secret"))
    -- What is new: her question, the answer, and this.
    assert.equal("I remember 4 lines, the last one: back, eliza?", ask(alice, "#lua", "back, eliza?"))

    local bob = irc.join(server.port, "bob", "#tea")
    assert.equal("Nobody said so here.", ask(bob, "eliza", "!search secret"))
    assert.equal("TIME Alice: oolong is best", ask(bob, "#tea", '!search "is best'))
    bob:close()

    local chat = assert(store:user("irc:127.0.0.1:#lua"):conversation("talk"))
    local names = {}
    for i, message in ipairs(assert(chat:history())) do
      names[i] = message.role .. " " .. (message.name or "")
    end
    assert.same({ "user Alice", "user Alice", "assistant ", "user Alice", "assistant " }, names)
    database:assert_sound()
  end)

  it("takes long lines, bytes that are no UTF-8 and CTCP, and another nick where its own is taken", function()
    alice:send("PRIVMSG #lua :caf\xE9 " .. ("ü"):rep(200))
    alice:send("PRIVMSG eliza :\1VERSION\1")
    local answer = ask(alice, "#lua", "!search caf*")
    assert.truthy(answer:find("^TIME Alice: caf\u{FFFD} [ü]+$"), answer)
    assert.truthy(utf8.len(answer))
    bot:kill()
    bot:finish()
    alice:wait_for("^:eliza!.*QUIT")
    local thief = irc.join(server.port, "eliza", "#tea")
    start_bot()
    alice:wait_for("^:eliza_!.*JOIN")
    thief:close()
  end)

  it("comes back when the server does", function()
    local port = server.port
    server:kill()
    server:finish()
    alice:close()
    server = irc.start(ngircd, database.folder, port)
    alice = irc.join(port, "Alice", "#lua")
    example.wait_until(function()
      alice:send("ISON eliza")
      return alice:wait_for(" 303 "):find("eliza", 1, true)
    end)
    assert.equal("I remember 1 lines, the last one: hello", ask(alice, "eliza", "hello"))
  end)

  it("says that it could not remember, and does once it can", function()
    local held = database:hold()
    alice:send("PRIVMSG eliza :nobody listens")
    local complaint = alice:wait_for(" NOTICE ")
    held.release()
    assert.truthy(complaint:find("My memory fails me", 1, true), complaint)
    assert.equal("I remember 1 lines, the last one: and now?", ask(alice, "eliza", "and now?"))
  end)
end)
