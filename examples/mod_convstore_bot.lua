-- A Prosody module (0.12, on Lua 5.4): a bot as a component, whose chats are in convstore. In prosody.cfg.lua:
--   plugin_paths = { "/path/to/examples" }
--   Component "bot.example.org" "convstore_bot"
--     convstore_dsn = "/var/lib/prosody/bot.db"
-- Then every address at bot.example.org is a bot of its own, for users here and on other servers. "!search WORDS"
-- finds what they said.
-- Prosody is one loop: while a call of the database runs, all of its users wait. That is the time of a local disk, or
-- of one round trip; where a database is busy or away, it is at most `timeout` a call, so that stays short, and trying
-- again is the client's part: a stanza's error of the type "wait" tells it to.
local convstore = require "convstore"
local jid = require "util.jid"
local sha256 = require "util.hashes".sha256
local st = require "util.stanza"

local store = assert(convstore.open(module:get_option_string("convstore_dsn"), { timeout = 1 }))
function module.unload() store:close() end

local function ask_the_model(messages) -- yours: net.http of Prosody, which calls back, so that nobody waits
  return ("I remember %d messages, the last one: %s"):format(#messages, messages[#messages].content)
end

-- An XMPP address may be longer than a user's id in convstore.
local function user_of(address)
  local bare = jid.bare(address)
  return store:user("xmpp:" .. (#bare <= 250 and bare or sha256(bare, true)))
end

-- A client that sends a message again gives it the same origin-id (XEP-0359): here the same id, so it is stored once.
local function id_of(stanza)
  local origin = stanza:get_child("origin-id", "urn:xmpp:sid:0")
  if not origin or not origin.attr.id then return convstore.uuid() end
  local hex = sha256(jid.bare(stanza.attr.from) .. "\0" .. origin.attr.id, true)
  return (hex:sub(1, 30):gsub("^(........)(....)(...)(...)", "%1-%2-8%3-8%4-")) -- a UUID of version 8
end

local function try(value, problem, code) -- like assert, for pcall below
  return value or error({ problem = problem, code = code })
end

local function answer(stanza, text)
  local user = user_of(stanza.attr.from)
  local words = text:match("^!search%s+(.+)$")
  if words then
    local hits = try(user:search(words, { limit = 5, role = "user" }))
    local lines = { ("%d found"):format(#hits) }
    for i, hit in ipairs(hits) do lines[i + 1] = hit.message.content end
    return table.concat(lines, "\n")
  end
  local chat = try(user:conversation(jid.bare(stanza.attr.to)))
  try(chat:append("user", text, { id = id_of(stanza) }))
  return try(chat:append("assistant", ask_the_model(try(chat:context{ max_tokens = 2000 })))).content
end

local TRY_AGAIN = { busy = true, timeout = true, unavailable = true }

local function on_message(event)
  local stanza = event.stanza
  local text = stanza:get_child_text("body")
  -- Errors are never answered, and what has no text is a receipt, "is typing" or the like.
  if not text or stanza.attr.type == "error" or stanza.attr.type == "groupchat" then return true end
  local ok, said = pcall(answer, stanza, text)
  if ok then
    module:send(st.message({ from = stanza.attr.to, to = stanza.attr.from, type = stanza.attr.type }, said))
  else
    said = type(said) == "table" and said or { problem = said }
    module:log("error", "%s", said.problem) -- no text of a message is in it
    local kind, condition = "cancel", "internal-server-error"
    if TRY_AGAIN[said.code] then kind, condition = "wait", "resource-constraint" end
    module:send(st.error_reply(stanza, kind, condition, "My memory fails me."))
  end
  return true
end

module:depends("disco")
module:add_identity("client", "bot", "convstore")
for _, address in ipairs{ "bare", "full", "host" } do
  module:hook("message/" .. address, on_message)
end
