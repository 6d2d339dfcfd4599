--- purge, archive and erase. What destroys names what is to go and asks; long work is done in parts, so that it is
-- known what was done when Ctrl-C ends one of them.

local failure = require "convstore.command.failure"
local json_text = require "convstore.json_text"
local text = require "convstore.command.text"
local times = require "convstore.command.times"
local in_own_words = require "convstore.command.words"

local retention = {}

local PART = 50 -- conversations that are asked for at once
local PAGE = 1000 -- the most that a list gives at once

local function amount(sums)
  return text.count(sums.conversations, "conversation") .. " with " .. text.count(sums.messages, "message")
end

-- Does step(limit) until nothing is left or `most` conversations are done; the sums.
local function in_parts(context, most, past, step)
  local screen, sums = context.screen, { conversations = 0, messages = 0 }
  function context.so_far()
    return ("%s %s before"):format(past, amount(sums))
  end
  local function add(part)
    sums.conversations = sums.conversations + part.conversations
    sums.messages = sums.messages + part.messages
  end
  local part, message, limit, _, before
  repeat
    limit = most and math.min(most - sums.conversations, PART) or PART
    screen:progress(("%s %s …"):format(past, amount(sums)))
    part, message, _, before = step(limit)
    add(part or before)
    if not part then
      failure.raise(failure.FAILED, "%s; %s", in_own_words(message), context.so_far())
    end
  until part.conversations < limit or sums.conversations == most
  context.so_far = nil
  return sums
end

local function report(context, past, sums)
  if context.options.json then
    context.screen:write(json_text(sums), "\n")
  else
    context.screen:write(past, " ", amount(sums), "\n")
  end
end

-- How much of a user's a test is true of, by going over all conversations.
local function count_of(context, user, test, sums)
  for conversation in user:conversations({ deleted = "any", limit = PAGE }) do
    if test(conversation) then
      sums.conversations = sums.conversations + 1
      sums.messages = sums.messages + conversation.message_count
    end
    sums.seen = sums.seen + 1
    if sums.seen % PAGE == 0 then
      context.screen:progress(("counting: looked at %s …"):format(text.count(sums.seen, "conversation")))
    end
  end
end

local function empty_sums()
  return { conversations = 0, messages = 0, seen = 0 }
end

-- The same over all users.
local function count_of_all(context, test)
  local sums, cursor = empty_sums(), nil
  repeat
    local users, next_cursor = failure.must(context.store:users({ limit = PAGE, cursor = cursor }))
    for _, user in ipairs(users) do
      count_of(context, context.store:user(user.user_id), test, sums)
    end
    cursor = next_cursor
  until not cursor
  return sums
end

-- "deleted before …, or without activity since …"
local function reasons(options)
  local parts = {}
  if options.deleted_before then
    parts[#parts + 1] = "deleted before " .. times.text(options.deleted_before, "second", options.utc)
  end
  if options.idle_before then
    parts[#parts + 1] = "without activity since " .. times.text(options.idle_before, "second", options.utc)
  end
  return table.concat(parts, ", or ")
end

local function is_old(options)
  local deleted_before = options.deleted_before or math.mininteger
  local idle_before = options.idle_before or math.mininteger
  return function(conversation)
    return conversation.deleted_at and conversation.deleted_at < deleted_before
      or conversation.updated_at < idle_before
  end
end

-- Asks before what cannot be undone; false where there is nothing to do. Nothing is counted where nobody can be asked.
local function confirmed(context, count, sentence, limit)
  if context.options.yes then
    return true
  end
  context.screen:require_terminal(sentence:format("conversations and their messages"))
  local sums = count()
  if sums.conversations == 0 then
    return false
  end
  local what = amount(sums)
  if limit and limit < sums.conversations then
    what = ("%d of %s"):format(limit, what)
  end
  context.screen:confirm(sentence:format(what))
  return true
end

--- convstore purge
---@param context convstore.Context
function retention.purge(context)
  local options, sums = context.options, { conversations = 0, messages = 0 }
  if not (options.deleted_before or options.idle_before) then
    failure.raise(failure.USAGE, "purge needs --deleted-before or --idle-before; see convstore purge --help")
  end
  local sentence = ("This deletes for good %%s: those %s."):format(reasons(options):gsub("%%", "%%%%"))
  local function count()
    return count_of_all(context, is_old(options))
  end
  if confirmed(context, count, sentence, options.limit) then
    sums = in_parts(context, options.limit, "purged", function(limit)
      return context.store:purge({
        deleted_before = options.deleted_before, idle_before = options.idle_before, limit = limit,
      })
    end)
  end
  report(context, "purged", sums)
end

--- convstore archive
---@param context convstore.Context
function retention.archive(context)
  local options = context.options
  if not options.idle_before then
    failure.raise(failure.USAGE, "archive needs --idle-before; see convstore archive --help")
  end
  report(context, "archived", in_parts(context, options.limit, "archived", function(limit)
    return context.store:archive({ idle_before = options.idle_before, limit = limit })
  end))
end

--- convstore erase
---@param context convstore.Context
function retention.erase(context)
  local sums = { conversations = 0, messages = 0 }
  local function count()
    local counted = empty_sums()
    count_of(context, context.user, function() return true end, counted)
    return counted
  end
  local sentence = ("This deletes for good %%s: everything of user %s."):format(
    text.line(context.user.id):gsub("%%", "%%%%"))
  if confirmed(context, count, sentence) then
    sums = in_parts(context, math.huge, "erased", function()
      return context.user:erase()
    end)
  end
  report(context, "erased", sums)
end

return retention
