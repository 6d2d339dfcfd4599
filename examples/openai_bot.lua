-- A bot in the terminal for any OpenAI-compatible endpoint: OpenAI, OpenRouter, Ollama, llama.cpp, vLLM …
-- OPENAI_API_KEY=… lua5.4 examples/openai_bot.lua [DSN]; OPENAI_BASE_URL and OPENAI_MODEL name another than OpenAI's.
-- Needs dkjson and curl, which compares a certificate with the host's name (LuaSec 1.2 does not).
-- What has streamed is kept though the process dies in the middle. A stored message never changes, so the text so far
-- goes into the conversation's metadata, once a second at most: { draft = { id =, text = } }. One transaction appends
-- the whole answer and takes the draft away; the next start does so with a draft that was left, under the same id. So
-- an answer is there once, whole or up to its last second, and no half ones stand in contexts and searches beside it.
-- One process for each conversation, please: a second one would take a living draft for a dead one's.
local convstore, json = require "convstore", require "dkjson"
local model = json.encode(os.getenv("OPENAI_MODEL") or "gpt-4.1-mini")
local store <close> = assert(convstore.open(arg[1], { text = "replace" }))
local chat = assert(store:user(os.getenv("USER") or "me"):conversation("terminal"))

-- Each call has tried for the store's `timeout` already. It has the same ids every time, so that what was stored though
-- the answer got lost is not stored twice.
local function retry(fn)
  for attempt = 1, 3 do
    local result, problem, code = fn()
    local passing = code == "busy" or code == "timeout" or code == "unavailable"
    if result or not passing or attempt == 3 then return result, problem end
  end
end

local function append(role, content)
  local id = convstore.uuid()
  return retry(function() return chat:append(role, content, { id = id }) end)
end

local function keep(draft, metadata) -- the answer instead of its draft: both or neither
  return assert(retry(function()
    return store:transaction(function()
      local message = { role = "assistant", content = draft.text, id = draft.id, metadata = metadata }
      local stored, problem, code = chat:append(message)
      if not stored then return nil, problem, code end
      return chat:update{ metadata = { draft = convstore.null }, merge = true }
    end)
  end))
end

-- The key goes to curl by a pipe, the body by a file that has lost its name: neither shows in `ps` or stays behind.
local CURL = [[exec 3<"$FILE" && rm "$FILE" && printf 'header="Authorization: Bearer %s"' "$OPENAI_API_KEY" |
  exec curl --silent --show-error --fail-with-body --no-buffer --connect-timeout 20 --max-time 600 \
  --config - --header "Content-Type: application/json" --data-binary @/dev/fd/3 \
  "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions" 2>&1]]

local function answer()
  local messages, problem = chat:context_json{ max_tokens = 8000, reserve = 1000 }
  if not messages then return print("(" .. problem .. ")") end
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  assert(file:write('{"model":', model, ',"stream":true,"messages":', messages, "}") and file:flush())
  local curl = assert(io.popen("FILE='" .. name .. "'; " .. CURL))
  local draft, saved, done, complaint = { id = convstore.uuid(), text = "" }, 0, false, ""
  for line in curl:lines() do
    local data = line:match("^data: ?(.*)")
    local event = data and json.decode(data)
    local choice = event and event.choices and event.choices[1]
    local piece = choice and choice.delta and choice.delta.content or ""
    draft.text, done = draft.text .. piece, done or data == "[DONE]"
    io.write((piece:gsub("[^%C\n\t]", ""))):flush() -- no model steers the terminal
    if piece ~= "" and saved ~= os.time() then -- where this fails, the next second tries again
      saved = chat:update{ metadata = { draft = draft }, merge = true } and os.time()
    end
    local is_bad = line:find("%S") and not data or event and event.error
    complaint = complaint .. (is_bad and "\n" .. line:gsub("%c", "") or "")
  end
  local whole = curl:close() and done
  if draft.text ~= "" then keep(draft, not whole and { interrupted = true } or nil) end
  print(whole and "" or ("\n(The answer broke off; Enter alone asks again.%s)"):format(complaint))
end

local left = chat.metadata and chat.metadata.draft
if left then keep(left, { interrupted = true }) end
if chat.last_seq == 0 then assert(append("system", "You are a helpful assistant. Be brief.")) end
for line in io.lines() do
  local stored, problem = true, nil
  if line ~= "" then stored, problem = append("user", line) end
  if stored then answer() else print("(Not stored: " .. problem .. ")") end
end
