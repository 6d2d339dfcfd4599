-- Real conversations written through the public functions and compared field by field with their source.
-- ShareGPT turns become messages of the chat-completions form: a function_call is an assistant message with tool_calls,
-- the observation behind it the tool message that answers it. A tree of Open Assistant is one conversation in depth
-- first order, whose messages carry their ids and what else is known of them as metadata.
local cjson = require "cjson"
local shell = require "spec.support.shell"
local check = require "spec.support.check"
local array = require("convstore").array

local real_data = {}

local FILES = { "sharegpt-toolcall-en.json", "sharegpt-toolcall-zh.json" }
local TREES = "oasst-trees-en.jsonl"

-- Where the data is: beside the checkout, or where CONVSTORE_TEST_DATA says.
function real_data.folder()
  return os.getenv("CONVSTORE_TEST_DATA") or "../shared/data"
end

function real_data.is_there()
  return shell.exists(real_data.folder() .. "/" .. TREES)
end

local function sharegpt_messages(conversation)
  local messages = {}
  local call -- the id of the last tool call
  for _, turn in ipairs(conversation.conversations) do
    local message = { content = turn.value }
    if turn.from == "human" then
      message.role = "user"
    elseif turn.from == "gpt" then
      message.role = "assistant"
    elseif turn.from == "function_call" then
      call = "call_" .. #messages + 1
      -- The value is nearly always JSON; where it is not, it is kept as it came.
      local ok, value = pcall(cjson.decode, turn.value)
      message = { role = "assistant", tool_calls = array { {
        id = call, type = "function",
        ["function"] = { name = ok and value.name or "unknown", arguments = turn.value },
      } } }
    elseif turn.from == "observation" then
      message.role = "tool"
      message.tool_call_id = call or "call_0"
    else
      error("unknown role: " .. tostring(turn.from))
    end
    messages[#messages + 1] = message
  end
  return messages
end

local function tree_messages(tree)
  local messages = {}
  local function walk(node, depth)
    messages[#messages + 1] = {
      id = node.message_id,
      role = node.role == "prompter" and "user" or "assistant",
      content = node.text,
      name = node.role == "assistant" and node.model_name ~= cjson.null and node.model_name or nil,
      metadata = {
        parent_id = node.parent_id, depth = depth, lang = node.lang, synthetic = node.synthetic,
        rank = node.rank,
      },
    }
    for _, reply in ipairs(node.replies) do
      walk(reply, depth + 1)
    end
  end
  walk(tree.prompt, 0)
  return messages
end

-- Calls visit(user id, key, fields, messages) for each conversation of the sources.
function real_data.each(folder, visit)
  for _, name in ipairs(FILES) do
    for i, conversation in ipairs(cjson.decode(assert(shell.read(folder .. "/" .. name)))) do
      local first = conversation.conversations[1].value
      local fields = { title = first:sub(1, (utf8.offset(first, 41) or #first + 1) - 1),
        metadata = { tools = conversation.tools, source = name, number = i } }
      visit(name, "conversation " .. i, fields, sharegpt_messages(conversation))
    end
  end
  for line in io.lines(folder .. "/" .. TREES) do
    local tree = cjson.decode(line)
    visit("trees", tree.message_tree_id, { id = tree.message_tree_id, status = "closed" },
      tree_messages(tree))
  end
end

-- Writes all of it into a store; the numbers of conversations and messages.
function real_data.write(store, folder)
  local conversations, written = 0, 0
  real_data.each(folder, function(user_id, key, fields, messages)
    local chat = assert(store:user(user_id):conversation(key, fields))
    if conversations % 3 == 0 then
      -- One by one, as a bot does, in one transaction so that the disk is waited for once.
      assert(store:transaction(function()
        for _, message in ipairs(messages) do
          assert(chat:append(message))
        end
        return true
      end))
    else
      assert(chat:append_many(messages))
    end
    conversations, written = conversations + 1, written + #messages
  end)
  return conversations, written
end

-- The same with ids for all messages, so that it can be done again: each conversation is one append_many.
function real_data.write_with_ids(store, folder)
  local conversations, written = 0, 0
  real_data.each(folder, function(user_id, key, fields, messages)
    for _, message in ipairs(messages) do
      written = written + 1
      message.id = message.id or ("00000000-0000-4000-8000-%012d"):format(written)
    end
    assert(assert(store:user(user_id):conversation(key, fields)):append_many(messages))
    conversations = conversations + 1
  end)
  return conversations, written
end

local function compare(expected, actual, seq, chat)
  for _, name in ipairs({ "role", "content", "name", "tool_call_id" }) do
    if expected[name] ~= actual[name] then
      error(("%s, message %d: %s is %s instead of %s"):format(chat.key, seq, name, check.show(actual[name]),
        check.show(expected[name])))
    end
  end
  for _, name in ipairs({ "tool_calls", "metadata", "attachments" }) do
    check.same_json(expected[name], actual[name], ("%s, message %d: %s"):format(chat.key, seq, name))
  end
  assert(actual.seq == seq and actual.conversation_id == chat.id)
  assert(not expected.id or actual.id == expected.id)
  assert(actual.token_count == (#(expected.content or "") + 3) // 4)
end

-- Compares all of it with what a store has; the numbers of conversations and messages.
function real_data.verify(store, folder)
  local conversations, compared = 0, 0
  real_data.each(folder, function(user_id, key, fields, messages)
    local chat = assert(store:user(user_id):conversation(key))
    assert(chat.title == fields.title and chat.user_id == user_id)
    assert(chat.status == (fields.status or "active"))
    assert(not fields.id or chat.id == fields.id)
    check.same_json(fields.metadata, chat.metadata, chat.key .. ": metadata")
    assert(chat.last_seq == #messages and chat.message_count == #messages)
    local history = assert(chat:history())
    assert(#history == #messages)
    for seq, message in ipairs(messages) do
      compare(message, history[seq], seq, chat)
    end
    conversations, compared = conversations + 1, compared + #history
  end)
  return conversations, compared
end

return real_data
