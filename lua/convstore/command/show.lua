--- show: the messages of a conversation, one after another, as plain text that suits a pager.

local convstore = require "convstore"
local failure = require "convstore.command.failure"
local json_text = require "convstore.json_text"
local text = require "convstore.command.text"
local times = require "convstore.command.times"

local INDENT = "    "
local LONGEST_URL = 200 -- an image may be its own URL, of megabytes

-- The conversation with this id or key. The database is open for reading alone, so that no key makes a new one.
local function find(user, name)
  local conversation, message, code
  if text.is_id(name) then
    conversation, message, code = user:get(name:lower())
  end
  if not conversation and (code == nil or code == "not_found") then
    local id_message = message
    conversation, message, code = user:conversation(name)
    if code == "readonly" then
      message = id_message or ('not_found: this user has no conversation with the key "%s"'):format(name)
    end
  end
  return failure.must(conversation, message)
end

local function short(url)
  url = text.line(url)
  return #url <= LONGEST_URL and url or ("%s… (%d bytes)"):format(text.cut(url, 60), #url)
end

-- A content part that is not text, in a line.
local function part_line(part)
  local url = part.type == "image_url" and part.image_url
  if type(url) == "table" then
    url = url.url
  end
  if type(url) == "string" then
    return ("[image: %s]"):format(short(url))
  end
  return ("[part: %s]"):format(short(json_text(part)))
end

local function call_line(call)
  local called = call["function"]
  if type(called) == "table" and type(called.name) == "string" and type(called.arguments) == "string" then
    local id = text.line(tostring(call.id))
    return ("[call %s: %s %s]"):format(id, text.line(called.name), text.plain(called.arguments))
  end
  return ("[call: %s]"):format(text.plain(json_text(call)))
end

local function attachment_line(attachment)
  local facts = {}
  for _, name in ipairs({ "name", "mime_type", "size", "url" }) do
    local fact = attachment[name]
    if fact ~= nil and fact ~= convstore.null then
      facts[#facts + 1] = name == "size" and text.count(fact, "byte") or short(tostring(fact))
    end
  end
  return ("[attachment: %s]"):format(table.concat(facts, ", "))
end

-- Everything that a message says, as lines to be indented.
local function body(message, utc)
  local lines = {}
  local function add(line)
    lines[#lines + 1] = line
  end
  if message.redacted_at then
    add(("[redacted %s]"):format(times.text(message.redacted_at, "second", utc)))
  end
  if type(message.content) == "string" then
    add(text.plain(message.content))
  else
    for _, part in ipairs(message.content or {}) do
      add(part.type == "text" and type(part.text) == "string" and text.plain(part.text) or part_line(part))
    end
  end
  for _, call in ipairs(message.tool_calls or {}) do
    add(call_line(call))
  end
  for _, attachment in ipairs(message.attachments or {}) do
    add(attachment_line(attachment))
  end
  return lines
end

local function write_message(context, message)
  local screen, utc = context.screen, context.options.utc
  local who = message.role .. (message.name and " " .. text.line(message.name) or "")
  if message.tool_call_id then
    who = who .. " answers " .. text.line(message.tool_call_id)
  end
  screen:write("\n", screen:styled("cyan", ("#%d %s"):format(message.seq, who)), "  ",
    times.text(message.created_at, "second", utc), "\n")
  for _, line in ipairs(body(message, utc)) do
    screen:write(text.indent(line, INDENT), "\n")
  end
end

local function write_heading(context, conversation)
  local screen, utc = context.screen, context.options.utc
  local function fact(name, value)
    if value then
      screen:write(("%-13s"):format(name), value, "\n")
    end
  end
  fact("conversation", screen:styled("yellow", conversation.id))
  fact("key", conversation.key and text.line(conversation.key))
  fact("title", conversation.title and screen:styled("bold", text.line(conversation.title)))
  fact("status", ("%s, %s, %s"):format(conversation.status, text.count(conversation.message_count, "message"),
    text.count(conversation.token_count, "token")))
  fact("created", times.text(conversation.created_at, "second", utc))
  fact("updated", times.text(conversation.updated_at, "second", utc))
  local from = conversation.forked_from
  fact("forked from", from and ("%s, after message %d"):format(from.id, from.seq))
end

local show = {}

--- convstore show
---@param context convstore.Context
function show.show(context)
  local options = context.options
  local conversation = find(context.user, context.arguments.CONVERSATION)
  if not options.json then
    write_heading(context, conversation)
  end
  for message in conversation:each({
    after = options.after, before = options.before, limit = options.limit, role = options.role,
  }) do
    if options.json then
      context.screen:write(json_text(message), "\n")
    else
      write_message(context, message)
    end
  end
end

return show
