-- A chat session of lua-openai that outlives its process: OPENAI_API_KEY=… lua5.4 examples/lua_openai.lua [DSN]
-- lua-openai (https://github.com/leafo/lua-openai; this is about 1.7.0) keeps what was said in an array:
--   openai.new(key)                             a client; its field api_base may name another endpoint
--   client:new_chat_session{ messages=, model=, tools= }
--   session.messages                            { { role=, content=, tool_calls=, tool_call_id=, name= }, … }
--   session:append_message(message)             adds one to it
--   session:generate_response()                 sends all of it and adds the answer; returns its text, or the message
--                                               where it has tool calls; nil and a problem; raises without a network
-- It sends the whole array and asks for more than the API does, so each turn has a session of its own, restored from
-- conv:context, which keeps to the model's window: `messages` not empty but absent, no role "developer".
local convstore, openai = require "convstore", require "openai"
local store <close> = assert(convstore.open(arg[1], { text = "replace" }))
local chat = assert(store:user(os.getenv("USER") or "me"):conversation("lua-openai"))
local client = openai.new(os.getenv("OPENAI_API_KEY"))
client.api_base = os.getenv("OPENAI_BASE_URL") or client.api_base

local tools = { { type = "function", ["function"] = {
  name = "now", description = "The time in UTC", parameters = { type = "object" },
} } }
local run = { now = function() return os.date("!%Y-%m-%d %H:%M") end }

local function restore()
  local messages = assert(chat:context{ max_tokens = 8000, reserve = 1000 })
  for _, message in ipairs(messages) do
    if message.role == "developer" then message.role = "system" end
  end
  local session = client:new_chat_session{
    messages = messages[1] and messages, model = os.getenv("OPENAI_MODEL"), tools = tools,
  }
  return session, #session.messages
end

-- Stores the session's messages behind number `saved`, all or none; how many it has now.
local function save(session, saved)
  local new = {}
  for i = saved + 1, #session.messages do
    local said = session.messages[i]
    new[#new + 1] = {
      id = convstore.uuid(), -- the same in each attempt, so that none is stored twice
      role = said.role, content = said.content, name = said.name,
      tool_calls = said.tool_calls, tool_call_id = said.tool_call_id,
    }
  end
  for attempt = 1, 3 do
    local stored, problem, code = chat:append_many(new)
    if stored then return #session.messages end
    local passing = code == "busy" or code == "timeout" or code == "unavailable"
    if not passing or attempt == 3 then error(problem, 0) end
  end
end

local function turn(line)
  local session, saved = restore()
  session:append_message{ role = "user", content = line }
  saved = save(session, saved) -- before the model is asked: it may take long, and fail
  for _ = 1, 5 do -- calls of tools, and no end
    local answer, problem = session:generate_response()
    if not answer then error(problem, 0) end
    saved = save(session, saved)
    local calls = session.messages[saved].tool_calls
    if type(calls) ~= "table" then return answer end -- absent, or cjson.null
    for _, call in ipairs(calls) do
      local tool = run[call["function"].name] or function() return "There is no such tool." end
      session:append_message{ role = "tool", tool_call_id = call.id, content = tool() }
    end
    saved = save(session, saved)
  end
  return "(The model called tools again and again.)"
end

for line in io.lines() do
  if line:find("%S") then print(select(2, pcall(turn, line))) end
end
