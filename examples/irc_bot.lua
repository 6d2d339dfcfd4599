-- A bot on IRC that remembers each channel and each nick. Needs LuaSocket.
-- lua5.4 examples/irc_bot.lua HOST PORT NICK CHANNELS [DSN], such as irc.example.org 6667 eliza "#lua,#bots"
-- "!search WORDS" finds what people said here; who calls the bot by its name is answered.
-- A channel has several people, so it is a user of its own, with the speakers in `name`. What a nick tells the bot
-- alone belongs to another user: on networks without registered nicks, whoever takes the nick can ask for it.
-- A call of the database keeps the bot from the network for `timeout` a try at most, less than any server's patience.
local convstore, socket = require "convstore", require "socket"
local host, port, nick, channels, dsn = table.unpack(arg)
if not channels then error("usage: lua5.4 examples/irc_bot.lua HOST PORT NICK CHANNELS [DSN]", 0) end
local store <close> = assert(convstore.open(dsn, { timeout = 2, text = "replace" })) -- IRC promises no UTF-8

local function ask_the_model(messages) -- yours: an HTTP call, a local model, …
  return ("I remember %d lines, the last one: %s"):format(#messages, messages[#messages].content)
end

local function append(chat, role, content, name)
  local id = convstore.uuid() -- the same in each attempt: what was stored, though the answer got lost, stays one
  for attempt = 1, 3 do
    local stored, problem, code = chat:append(role, content, { id = id, name = name })
    if stored then return stored end
    local passing = code == "busy" or code == "timeout" or code == "unavailable"
    if not passing or attempt == 3 then error(problem, 0) end
  end
end

local function answer(from, place, text) -- an array of lines; raises where the database fails
  local user = store:user(("irc:%s:%s"):format(host, place:lower()))
  local chat = assert(user:conversation("talk"))
  local command, words = text:match("^(!%a+)%s+(.-)%s*$")
  if command == "!search" then
    local lines = {}
    for i, hit in ipairs(assert(user:search(words, { limit = 3, role = "user" }))) do
      local said = hit.message
      lines[i] = ("%s %s: %s"):format(convstore.iso8601(said.created_at), said.name, said.content)
    end
    return lines[1] and lines or { "Nobody said so here." }
  end
  append(chat, "user", text, from)
  if place ~= from and not text:lower():find(nick:lower(), 1, true) then return {} end
  return { append(chat, "assistant", ask_the_model(assert(chat:context{ max_tokens = 2000 }))).content }
end

local pause = 1 -- before the next connection; in seconds

local function serve(connection) -- until it is lost; why
  local function send(line) -- where it fails, so does the next receive
    line = line:gsub("%c+", " ")
    if #line > 400 then line = line:sub(1, utf8.offset(line, 0, 401) - 1) end -- of 512 bytes with the names
    connection:send(line .. "\r\n")
  end
  connection:settimeout(300) -- servers ping more often
  send("NICK " .. nick)
  send("USER " .. nick .. " 0 * :a convstore bot")
  while true do
    local line, problem = connection:receive()
    if not line then return problem end
    local from, command, target, text = (line:find("^:") and line or ":- " .. line)
      :match("^:([^ !]+)%S* +(%S+) *([^ :]*)[^:]*:?(.*)$")
    if command == "PING" then send("PONG :" .. target .. text) end
    if command == "433" then nick = nick .. "_" send("NICK " .. nick) end -- it is taken
    if command == "001" then pause = 1 send("JOIN " .. channels) end
    if command == "PRIVMSG" and not text:find("\1", 1, true) then
      local place = target:find("^[#&+!]") and target or from
      local ok, lines = pcall(answer, from, place, text)
      if not ok then io.stderr:write(lines, "\n") end
      for _, said in ipairs(ok and lines or { "My memory fails me; please say it again." }) do
        send("NOTICE " .. place .. " :" .. said) -- which no other bot answers
      end
    end
  end
end

while true do
  local connection, problem = socket.connect(host, port)
  if connection then problem = serve(connection) connection:close() end
  io.stderr:write(("%s; again in %d s\n"):format(problem, pause))
  socket.sleep(pause)
  pause = math.min(pause * 2, 60)
end
