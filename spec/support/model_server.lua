-- A chat-completions endpoint whose answers a spec says piece by piece: it is the server itself, so that it knows what
-- the other side has and what it has not.
local json = require "dkjson"
local socket = require "socket"

local model_server = {}
model_server.__index = model_server

-- Seconds that a spec waits for the other side before it fails.
local PATIENCE = 20

function model_server.listen()
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(PATIENCE)
  local _, port = listener:getsockname()
  return setmetatable({ listener = listener, url = ("http://127.0.0.1:%d/v1"):format(port) }, model_server)
end

function model_server:close()
  self.listener:close()
end

local request = {}
request.__index = request

-- The next request: `line`, `headers` by their lower-case names, and its JSON `body`.
function model_server:accept()
  local connection = assert(self.listener:accept())
  connection:settimeout(PATIENCE)
  local found = setmetatable({ connection = connection, headers = {} }, request)
  found.line = assert(connection:receive("*l"))
  local line = assert(connection:receive("*l"))
  while line ~= "" do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    found.headers[name:lower()] = value
    line = assert(connection:receive("*l"))
  end
  local text = assert(connection:receive(tonumber(found.headers["content-length"])))
  found.body = assert(json.decode(text))
  return found
end

-- A whole answer.
function request:answer(status, body)
  local head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
  assert(self.connection:send(head:format(status, #body) .. body))
  self.connection:close()
end

-- A chat completion in one piece.
function request:complete(message)
  self:answer("200 OK", json.encode({
    id = "chatcmpl-1", object = "chat.completion", model = self.body.model, usage = { total_tokens = 1 },
    choices = { { index = 0, finish_reason = "stop", message = message } },
  }))
end

local function chunk(data)
  return ("%x\r\n%s\r\n"):format(#data, data)
end

local function event(text)
  return "data: " .. json.encode({
    object = "chat.completion.chunk", choices = { { index = 0, delta = { content = text } } },
  }) .. "\n\n"
end

-- Begins an answer that streams.
function request:stream()
  local head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
  assert(self.connection:send(head .. chunk(": a comment\n\n") .. chunk(event(""))))
end

function request:say(text)
  assert(self.connection:send(chunk(event(text))))
end

-- The good end of a stream. Without it, close() breaks the answer off.
function request:done()
  assert(self.connection:send(chunk("data: [DONE]\n\n") .. "0\r\n\r\n"))
  self.connection:close()
end

function request:close()
  self.connection:close()
end

return model_server
