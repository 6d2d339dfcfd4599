--- users, list and search: what comes in pages, and is written page by page, however much there is.

local failure = require "convstore.command.failure"
local json_text = require "convstore.json_text"
local new_rows = require("convstore.command.rows").new
local text = require "convstore.command.text"
local times = require "convstore.command.times"

local lists = {}

local PAGE = 1000 -- the most that the library gives at once
local USUAL = 20
local LONGEST_NAME = 40 -- columns on a terminal; an id has 36, and behind longer ones nothing else would be seen

-- Calls page(limit, cursor) until there is nothing more, or `most` rows were had, and write(rows) for each page that
-- has any. Returns whether there is more, and how many there were.
local function each_page(most, page, write)
  local cursor, n = nil, 0
  repeat
    local limit = most and math.min(most - n, PAGE) or PAGE
    local found, next_cursor = failure.must(page(limit, cursor))
    cursor, n = next_cursor, n + #found
    if #found > 0 then
      write(found)
    end
  until not cursor or n == most
  return cursor ~= nil, n
end

-- A writer of pages: JSON Lines, or what `write` makes for people.
local function writer(context, write)
  if not context.options.json then
    return write
  end
  return function(page)
    for _, row in ipairs(page) do
      context.screen:write(json_text(row), "\n")
    end
  end
end

-- A word for people about what the list does not show.
local function remark(context, n, none, more)
  if context.options.json then
    return
  end
  if n == 0 then
    context.screen:say(none)
  elseif more and context.screen.columns then
    context.screen:say(more)
  end
end

local function time_title(context, created)
  return (created and "CREATED" or "UPDATED") .. (context.options.utc and " (UTC)" or "")
end

--- convstore users
---@param context convstore.Context
function lists.users(context)
  local utc = context.options.utc
  local rows = new_rows(context.screen, {
    { title = time_title(context) }, { title = "CONVERSATIONS", right = true },
    { title = "MESSAGES", right = true }, { title = "USER", style = "yellow" },
  })
  local more, n = each_page(context.options.limit, function(limit, cursor)
    return context.store:users({ limit = limit, cursor = cursor })
  end, writer(context, function(page)
    local lines = {}
    for i, user in ipairs(page) do
      lines[i] = {
        user.updated_at and times.text(user.updated_at, "minute", utc) or "", tostring(user.conversations),
        tostring(user.messages), text.line(user.user_id),
      }
    end
    rows:write(lines)
  end))
  remark(context, n, "no users", more and "there are more; see --limit" or nil)
end

-- What a conversation is about, in a line: its title, or what was said last.
local function subject(conversation)
  local last = conversation.last_message
  local line = conversation.title or last and ("%s: %s"):format(last.role, last.preview or "") or ""
  local mark = conversation.deleted_at and "deleted" or conversation.status
  return (mark ~= "active" and "[" .. mark .. "] " or "") .. text.line(line)
end

-- What `show` finds it by. A deleted one is not found by its key, nor is one whose key looks like an id.
local function name_of(conversation)
  local key = conversation.key
  return key and not conversation.deleted_at and not text.is_id(key) and key or conversation.id
end

--- convstore list
---@param context convstore.Context
function lists.list(context)
  local options = context.options
  if options.all and options.limit then
    failure.raise(failure.USAGE, "--all and --limit are contrary; see convstore list --help")
  end
  local most = options.limit or not options.all and USUAL or nil
  local created = options.order == "created"
  local rows = new_rows(context.screen, {
    { title = time_title(context, created) }, { title = "MSGS", right = true },
    { title = "CONVERSATION", style = "yellow", most = LONGEST_NAME }, { title = "TITLE", cut = true },
  })
  local more, n = each_page(most, function(limit, cursor)
    return context.user:list({
      limit = limit, cursor = cursor, order = options.order,
      status = options.status, deleted = options.deleted,
    })
  end, writer(context, function(page)
    local lines = {}
    for i, conversation in ipairs(page) do
      local time = created and conversation.created_at or conversation.updated_at
      lines[i] = {
        times.text(time, "minute", options.utc), tostring(conversation.message_count),
        text.line(name_of(conversation)), subject(conversation),
      }
    end
    rows:write(lines)
  end))
  local narrowed = options.status or options.deleted
  local none = ("user %s has %s conversations"):format(text.line(context.user.id),
    narrowed and "no such" or "no")
  remark(context, n, none, more and ("these are the first %d; --all shows all"):format(n) or nil)
end

local ENTITIES = { ["&lt;"] = "<", ["&gt;"] = ">", ["&quot;"] = '"', ["&#39;"] = "'", ["&amp;"] = "&" }

-- A snippet is HTML with the words that were found between <b> and </b>; on a screen they are bold.
local function snippet_of(context, html)
  local function unescaped(part)
    return (text.plain(part:gsub("%s+", " ")):gsub("&#?%w+;", ENTITIES))
  end
  local shown = html:gsub("<b>(.-)</b>", function(word)
    return "\1" .. word .. "\2"
  end)
  return (shown:gsub("([^\1\2]*)([\1\2]?)", function(part, mark)
    local words = unescaped(part)
    return mark == "\2" and context.screen:styled("bold", words) or words
  end))
end

local function write_hit(context, hit)
  local screen, message = context.screen, hit.message
  screen:write(
    screen:styled("yellow", ("%s #%d"):format(hit.conversation_id, message.seq)), "  ", message.role, "  ",
    times.text(message.created_at, "minute", context.options.utc), "\n")
  if hit.title then
    screen:write("    ", screen:styled("bold", text.line(hit.title)), "\n")
  end
  screen:write("    ", snippet_of(context, hit.snippet), "\n\n")
end

--- convstore search
---@param context convstore.Context
function lists.search(context)
  local options = context.options
  local more, n = each_page(options.limit or USUAL, function(limit, cursor)
    return context.user:search(context.arguments.TEXT, {
      limit = limit, cursor = cursor, role = options.role, since = options.since, before = options.before,
    })
  end, writer(context, function(page)
    for _, hit in ipairs(page) do
      write_hit(context, hit)
    end
  end))
  more = more and ("these are the best %d; see --limit"):format(n) or nil
  remark(context, n, "nothing was found", more)
end

return lists
