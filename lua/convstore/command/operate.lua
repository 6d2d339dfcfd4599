--- stats, check and backup: what an operator asks of a whole database.

local array = require("convstore").array
local failure = require "convstore.command.failure"
local json_text = require "convstore.json_text"
local text = require "convstore.command.text"

local operate = {}

local UNITS = { "KiB", "MiB", "GiB", "TiB" }

local function size_text(bytes)
  local size, unit = bytes, nil
  for _, next_unit in ipairs(UNITS) do
    if size < 1024 then break end
    size, unit = size / 1024, next_unit
  end
  return unit and ("%.1f %s (%d bytes)"):format(size, unit, bytes) or text.count(bytes, "byte")
end

--- convstore stats
---@param context convstore.Context
function operate.stats(context)
  local screen = context.screen
  local stats = failure.must(context.store:stats())
  if context.options.json then
    screen:write(json_text(stats), "\n")
    return
  end
  for _, row in ipairs({
    { "database", ("%s %s"):format(stats.backend, text.line(stats.backend_version)) },
    { "schema version", tostring(stats.schema_version) },
    { "size", size_text(stats.bytes) },
    { "users", tostring(stats.users) },
    { "conversations", tostring(stats.conversations) },
    { "messages", ("%d, %d of them archived"):format(stats.messages, stats.archived_messages) },
  }) do
    screen:write(("%-16s%s\n"):format(row[1], row[2]))
  end
end

--- convstore check
---@param context convstore.Context
function operate.check(context)
  local screen = context.screen
  screen:progress("checking …")
  local problems = failure.must(context.store:check())
  if context.options.json then
    screen:write(json_text(array(problems)), "\n")
  end
  if #problems == 0 then
    if not context.options.json then
      screen:write("all is well\n")
    end
    return 0
  end
  for _, problem in ipairs(context.options.json and {} or problems) do
    screen:write(screen:styled("red", problem.problem), "  ", problem.conversation_id or "-", "\n    ",
      text.line(problem.detail or ""), "\n")
  end
  screen:flush()
  failure.raise(failure.FAILED, "%s found", text.count(#problems, "problem"))
end

--- convstore backup
---@param context convstore.Context
function operate.backup(context)
  local path = context.arguments.PATH
  context.screen:progress("copying …")
  failure.must(context.store:backup(path))
  if context.options.json then
    context.screen:write(json_text({ path = path }), "\n")
  else
    context.screen:write("copied to ", text.line(path), "\n")
  end
end

return operate
