-- What examples/lua_openai.lua needs of lua-openai, for machines without it: the same names, results and failures as
-- lua-openai 1.7.0 has (openai/init.moon, openai/chat_completions.moon), and a real request over HTTP. Where the
-- library itself is installed, the spec runs with that.
local http = require "socket.http"
local json = require "cjson"
local ltn12 = require "ltn12"

local ROLES = { system = true, user = true, assistant = true, tool = true, ["function"] = true }

local session = {}
session.__index = session

function session:append_message(message, ...)
  assert(type(message) == "table" and ROLES[message.role], "expected a message with a known role")
  table.insert(self.messages, message)
  if select("#", ...) > 0 then
    self:append_message(...)
  end
end

function session:generate_response()
  local options = self.options
  local body = json.encode({ model = options.model, tools = options.tools, messages = self.messages })
  local parts = {}
  local _, status = assert(http.request({
    url = self.client.api_base .. "/chat/completions",
    method = "POST",
    headers = {
      ["Authorization"] = "Bearer " .. self.client.api_key,
      ["Content-Type"] = "application/json",
      ["Content-Length"] = #body,
    },
    source = ltn12.source.string(body),
    sink = ltn12.sink.table(parts),
  }))
  local response = json.decode(table.concat(parts))
  if status ~= 200 then
    return nil, ("Bad status: %d: %s"):format(status, response.error.message), response
  end
  local message = response.choices[1].message
  local kept = { role = message.role, content = message.content, tool_calls = message.tool_calls }
  self:append_message(kept)
  return type(kept.content) == "string" and kept.content or message
end

local client = { api_base = "https://api.openai.com/v1" }
client.__index = client

function client:new_chat_session(options)
  local new = setmetatable({ client = self, options = options, messages = {} }, session)
  if type(options.messages) == "table" then
    new:append_message(table.unpack(options.messages))
  end
  return new
end

return {
  new = function(api_key)
    return setmetatable({ api_key = api_key }, client)
  end,
}
