-- A real XMPP server (Prosody) with one user and a component of examples/, and a client that speaks to it by a stream.
local example = require "spec.support.example"
local shell = require "spec.support.shell"
local mime = require "mime"
local socket = require "socket"

local xmpp = {}

-- run_as_root is looked at where it is so: in a container.
local CONFIGURATION = [[
run_as_root = true
pidfile = "%s/prosody.pid"
data_path = "%s"
plugin_paths = { "%s" }
interfaces = { "127.0.0.1" }
c2s_ports = { %d }
s2s_ports = {}
modules_enabled = { "saslauth", "disco" }
modules_disabled = { "s2s", "tls", "offline" }
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
log = { { levels = { min = "info" }, to = "file", filename = "%s/prosody.log" } }
VirtualHost "localhost"
Component "bot.localhost" "convstore_bot"
  convstore_dsn = "%s"
]]

-- Starts Prosody in `folder`, with alice and bob, whose passwords are their names.
function xmpp.start(prosody, folder, dsn, port)
  port = port or example.free_port()
  local file = folder .. "/prosody.cfg.lua"
  local examples = require("lfs").currentdir() .. "/examples"
  shell.write(file, CONFIGURATION:format(folder, folder, examples, port, folder, dsn))
  assert(shell.run("mkdir -p " .. shell.quote(folder .. "/localhost/accounts")))
  for _, name in ipairs({ "alice", "bob" }) do
    local account = ("%s/localhost/accounts/%s.dat"):format(folder, name)
    shell.write(account, ('return { password = "%s" };'):format(name))
  end
  local server = example.start(folder, prosody, { "--config", file, "-F" })
  server.port = port
  example.wait_for_port(port)
  return server
end

local client = {}
client.__index = client

-- A stream inside the connection. Each element below its root is a stanza: { [0] = name, [attribute] = value, … }, with
-- texts and elements as its array part.
function client:open_stream()
  local stack = {}
  self.stanzas = {}
  self.parser = require("lxp").new({
    StartElement = function(_, name, attributes)
      local element = { [0] = name }
      for _, attribute in ipairs(attributes) do
        element[attribute] = attributes[attribute]
      end
      stack[#stack + 1] = element
    end,
    CharacterData = function(_, text)
      table.insert(stack[#stack], text)
    end,
    EndElement = function()
      local element = table.remove(stack)
      table.insert(#stack > 1 and stack[#stack] or self.stanzas, element)
    end,
  })
  self:send("<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' " ..
    "xmlns:stream='http://etherx.jabber.org/streams'>")
end

function client:send(text)
  assert(self.connection:send(text))
end

-- The next stanza of that name.
function client:wait_for(name)
  while true do
    while self.stanzas[1] do
      local stanza = table.remove(self.stanzas, 1)
      if stanza[0] == name then
        return stanza
      end
    end
    local byte, problem = self.connection:receive(1)
    if not byte then
      error(("the server never sent <%s>: %s"):format(name, problem), 2)
    end
    assert(self.parser:parse(byte))
  end
end

-- The text of an element's child, or nil.
function xmpp.text(stanza, name)
  for _, child in ipairs(stanza) do
    if child[0] == name then
      return table.concat(child)
    end
  end
  return nil
end

-- Somebody who has logged in.
function xmpp.login(port, name)
  local self = setmetatable({ connection = assert(socket.connect("127.0.0.1", port)) }, client)
  self.connection:settimeout(20)
  self:open_stream()
  self:wait_for("stream:features")
  self:send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" ..
    mime.b64("\0" .. name .. "\0" .. name) .. "</auth>")
  self:wait_for("success")
  self:open_stream()
  self:wait_for("stream:features")
  self:send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
  assert(self:wait_for("iq").type == "result")
  self:send("<presence/>")
  return self
end

local ESCAPES = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" }

-- Sends a message and waits for the next one; `more` goes inside it.
function client:ask(to, text, more)
  local body = text:gsub("[<>&]", ESCAPES)
  self:send(("<message to='%s' type='chat'><body>%s</body>%s</message>"):format(to, body, more or ""))
  return self:wait_for("message")
end

function client:close()
  self.connection:close()
end

return xmpp
