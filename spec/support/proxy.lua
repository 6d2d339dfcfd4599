-- A bad network between a store and a PostgreSQL server: the program proxy.c, which `make` builds beside the C tests.
-- Its methods are the program's commands. proxy:dsn(url) is the URL of a server, by way of the proxy.
local shell = require "spec.support.shell"

local proxy = {}
proxy.__index = proxy

local PROGRAM = os.getenv("CONVSTORE_TEST_PROXY") or "build/tests/proxy"
local running = {}

-- "HOST", "PORT" of a URL with one host.
local function address(url)
  local host, port = url:match("^%a+://[^/?]-@?([%w.%-]+):(%d+)[/?]")
  return assert(host, "no host and port in " .. url), port
end

-- A proxy in front of the server of `url`.
function proxy.start(url)
  assert(shell.exists(PROGRAM), "no " .. PROGRAM .. "; make builds it")
  local self = setmetatable({ folder = shell.folder() }, proxy)
  local fifo = self.folder .. "/commands"
  assert(shell.run("mkfifo " .. shell.quote(fifo)))
  local host, port = address(url)
  self.answers = assert(io.popen(("exec %s %s %s <%s"):format(shell.quote(PROGRAM), host, port,
    shell.quote(fifo))))
  self.commands = assert(io.open(fifo, "w"))
  self.commands:setvbuf("line")
  self.port = assert(tonumber(self.answers:read("l")))
  running[#running + 1] = self
  return self
end

-- The same server, by way of this proxy.
function proxy:dsn(url)
  local host, port = address(url)
  return (url:gsub(host:gsub("%p", "%%%0") .. ":" .. port, "127.0.0.1:" .. self.port, 1))
end

-- Sends a command; its answer.
function proxy:tell(...)
  self.commands:write(table.concat({ ... }, " "), "\n")
  local answer = assert(self.answers:read("l"), "the proxy has died")
  assert(not answer:find("^unknown"), answer)
  return answer
end

for _, command in ipairs({ "delay", "stall", "flow", "kill", "down", "up", "cut", "reset" }) do
  proxy[command] = function(self, ...)
    assert(self:tell(command, ...) == "ok")
  end
end

-- How many connections were cut by `cut`.
function proxy:cuts()
  return math.tointeger(self:tell("cuts"))
end

-- How many bytes have gone on since the last reset: the clients', the server's.
function proxy:bytes()
  local client, server = self:tell("bytes"):match("^(%d+) (%d+)$")
  return math.tointeger(client), math.tointeger(server)
end

-- Since the last reset: round trips on the wire, points where a client waits by the protocol, connections.
function proxy:count()
  local trips, syncs, connections = self:tell("count"):match("^(%d+) (%d+) (%d+)$")
  return math.tointeger(trips), math.tointeger(syncs), math.tointeger(connections)
end

function proxy:close()
  self.commands:write("quit\n")
  self.commands:close()
  self.answers:close()
  shell.remove(self.folder)
end

-- Ends all that were started; for after_each.
function proxy.clean()
  for _, self in ipairs(running) do
    self:close()
  end
  running = {}
end

return proxy
