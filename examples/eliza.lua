-- A bot that remembers, in the spirit of ELIZA (Joseph Weizenbaum, 1966), with words of its own.
-- lua5.4 examples/eliza.lua [DSN [NAME]]: all it knows of you is in the database; stop it, start it, go on.
local convstore = require "convstore"
local name = arg[2] or os.getenv("USER") or "friend"
local store <close> = assert(convstore.open(arg[1] or "eliza.db", { text = "replace" }))
local user = store:user(name)
local chat = assert(user:conversation("eliza")) -- the same one after a restart
-- The first rule whose words occur answers; "*" is the words up to a stop, which come back with I and you swapped.
local rules = {
  { "hello", "Hello! What brings you here today?", "Good to hear from you. What happened?" },
  { "i need *", "Suppose you had *. What would be different tomorrow?", "Who could help you get *?" },
  { "i want *", "What is the smallest step towards that: *?", "And if you never get *?" },
  { "i feel *", "At what time of day do you feel * the most?", "What would you do if you did not feel *?" },
  { "i am *", "What is it like to be *?", "Who knows that you are *?", "Were you * a year ago, too?" },
  { "you are *", "What have I done to seem *?", "Perhaps I am *. And you?" },
  { "my *", "Your *: since when?", "Your *. What comes to mind next?" },
  { "because *", "Is that the whole reason?", "And would it matter if that were not so: *?" },
}
local swap = { i = "you", me = "you", my = "your", am = "are", you = "I", your = "my", yourself = "myself" }

local function find(words, text) -- what "*" stands for, swapped; "" without a "*"; nil if the words do not occur
  text = text:gsub("’", "'"):gsub("'(%a+)", { m = " am", re = " are", ve = " have", ll = " will" })
  local from, to = text:lower():match("%f[%w]" .. words:gsub("%*", "()[^.,;:!?]*[^.,;:!?%%s]()") .. "%f[%W]")
  local rest = to and text:sub(from, to - 1):gsub("%S+", function(word) return swap[word:lower()] end)
  return from and (rest or ""):gsub("I are", "I am"):gsub("are I", "am I"):gsub(" I$", " me")
end

local function reply(text)
  local turn = chat.last_seq // 2
  for _, rule in ipairs(rules) do
    local rest = find(rule[1], text)
    if rest then return (rule[turn % (#rule - 1) + 2]:gsub("%*", { ["*"] = rest })) end
  end
  local answers = { "I am listening.", "Why do you say so?" } -- or it comes back to what was said before
  for _, earlier in ipairs(assert(chat:history{ role = "user", limit = 100 })) do
    local topic = find("my *", earlier.content)
    answers[#answers + 1] = topic and ("One thing stayed with me: your %s. Is this about that?"):format(topic)
  end
  return answers[turn % #answers + 1]
end

local commands = {} -- each runs in a transaction: all of it happens, or nothing
commands["/help"] = function() return "/history, /search WORDS, /new, /forget (erases all), /quit" end
commands["/history"] = function()
  for said in chat:each() do print((said.role == "user" and name or "Eliza") .. ": " .. said.content) end
  return ("(%d messages)"):format(chat.message_count)
end
commands["/search"] = function(words)
  local hits = assert(user:search(words))
  for _, hit in ipairs(hits) do print("- " .. hit.message.content) end
  return ("(%d found)"):format(#hits)
end
commands["/new"] = function() -- the key goes to a new conversation
  assert(chat:update{ key = convstore.null })
  chat = assert(user:conversation("eliza"))
  return "A fresh page. What is on your mind?"
end
commands["/forget"] = function()
  assert(user:erase())
  chat = assert(user:conversation("eliza"))
  return "All of it is gone. What is on your mind?"
end

local last = assert(user:messages{ role = "user", limit = 1 })[1]
print((last and "Welcome back, %s. Last time you said: “%s” How is that today?"
  or "Hello %s, I am Eliza. What is on your mind? (Or /help.)"):format(name, last and last.content))
local prompt = os.execute("test -t 0 && test -t 1") and "> " or ""
for line in function() io.write(prompt):flush() return io.read() end do
  local text = line:match("^%s*(.-)%s*$")
  if text == "/quit" then break end
  if text:find("^/") then
    local command, words = text:match("^(%S+)%s*(.*)$")
    print(assert(store:transaction(commands[command] or commands["/help"], words)))
  elseif text ~= "" then
    local stored, problem = chat:append("user", text)
    print(stored and assert(chat:append("assistant", reply(text))).content or problem)
  end
end
print("\nGoodbye, " .. name .. ".") -- the prompt is still there when Ctrl-D ended the input
