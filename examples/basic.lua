-- One turn of a bot. Run it twice: the second time it knows what was said the first time.
local convstore = require "convstore"

local function ask_the_model(messages) -- yours: an HTTP call, a local model, …
  return ("I have heard %d messages so far, the last one: %s"):format(#messages, messages[#messages].content)
end

local store <close> = assert(convstore.open "bot.db")             -- made on first use
local chat = assert(store:user(42):conversation "telegram:1001")  -- the same one after a restart
assert(chat:append("user", "Hello there"))
local messages = assert(chat:context{ max_tokens = 4000 })        -- { {role=, content=}, … }, oldest first
assert(chat:append("assistant", ask_the_model(messages)))
print(chat:message(chat.last_seq).content)
