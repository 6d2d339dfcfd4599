-- A real IRC server (ngircd) on a port of its own, and a person on it.
local example = require "spec.support.example"
local process = require "spec.support.process"
local shell = require "spec.support.shell"
local socket = require "socket"

local irc = {}

local CONFIGURATION = [[
[Global]
Name = irc.test
Info = a server for tests
Listen = 127.0.0.1
Ports = %d
MotdPhrase = hello
PidFile =
[Limits]
MaxNickLength = 20
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
]]

-- Starts a server in `folder`, on `port` or on one that nobody has.
function irc.start(ngircd, folder, port)
  port = port or example.free_port()
  local file = folder .. "/ngircd.conf"
  shell.write(file, CONFIGURATION:format(port))
  local server = process.command(folder, shell.quote(ngircd) .. " --nodaemon --config " .. shell.quote(file))
  server.port = port
  example.wait_for_port(port)
  return server
end

local person = {}
person.__index = person

-- Somebody who has joined channels ("#one,#two").
function irc.join(port, nick, channels)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:settimeout(20)
  local self = setmetatable({ connection = connection }, person)
  self:send("NICK " .. nick)
  self:send("USER " .. nick .. " 0 * :" .. nick)
  self:wait_for(" 001 ")
  self:send("JOIN " .. channels)
  for channel in channels:gmatch("[^,]+") do
    self:wait_for(" 366 %S+ " .. channel)
  end
  return self
end

function person:send(line)
  assert(self.connection:send(line .. "\r\n"))
end

-- Reads until a line matches a pattern; that line.
function person:wait_for(pattern)
  while true do
    local line, problem = self.connection:receive()
    if not line then
      error(("the server never said %q: %s"):format(pattern, problem), 2)
    end
    if line:find("^PING") then
      self:send((line:gsub("^PING", "PONG")))
    elseif line:find(pattern) then
      return line
    end
  end
end

function person:close()
  self.connection:close()
end

return irc
