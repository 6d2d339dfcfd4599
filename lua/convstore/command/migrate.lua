--- migrate: the schema's steps, up and down. The only command that changes a schema.

local array = require("convstore").array
local failure = require "convstore.command.failure"
local json_text = require "convstore.json_text"
local new_rows = require("convstore.command.rows").new
local text = require "convstore.command.text"
local times = require "convstore.command.times"

local actions = {}

local function report_version(context, before, after)
  if context.options.json then
    context.screen:write(json_text({ before = before, version = after }), "\n")
  elseif before == after then
    context.screen:write(("the schema is at version %d already\n"):format(after))
  else
    context.screen:write(("migrated the schema from version %d to %d\n"):format(before, after))
  end
end

local function run(context, target)
  return failure.must(context.store:migrate(target))
end

function actions.up(context)
  local store, target = context.store, context.options.to
  local before = failure.must(store:schema_version())
  if target and target < before then
    failure.raise(failure.FAILED, "the schema is at version %d; convstore migrate down --to %d goes back",
      before, target)
  end
  context.screen:progress("migrating …")
  report_version(context, before, run(context, target))
end

-- What all of the tables hold, as far as this can be known: an older schema cannot be counted.
local function contents(store)
  local stats = store:stats()
  return stats and ("with %s and %s of %s"):format(text.count(stats.conversations, "conversation"),
    text.count(stats.messages, "message"), text.count(stats.users, "user")) or "with everything in them"
end

-- The steps that lead from one version to another, in their order, and which text of each.
local function path(store, from, to)
  local steps, way = {}, to >= from and "up" or "down"
  for _, step in ipairs(failure.must(store:migrations())) do
    if step.version > math.min(from, to) and step.version <= math.max(from, to) then
      table.insert(steps, way == "up" and #steps + 1 or 1, step)
    end
  end
  return steps, way
end

function actions.down(context)
  local store, options = context.store, context.options
  local before = failure.must(store:schema_version())
  local target = options.to or before - 1
  if before == 0 then
    failure.raise(failure.FAILED, "there is no schema of convstore's to take back")
  elseif target >= before then
    failure.raise(failure.FAILED, "the schema is at version %d, which --to %d is not below", before, target)
  end
  if not options.yes then
    context.screen:require_terminal("This takes the schema back, with what it keeps.")
    local names = {}
    for _, step in ipairs(path(store, before, target)) do
      names[#names + 1] = ("%d %s"):format(step.version, step.name)
    end
    local what = target == 0 and "This removes all of convstore's tables " .. contents(store) .. "."
      or ("This takes back %s, with what only they keep."):format(table.concat(names, ", "))
    context.screen:confirm(what)
  end
  report_version(context, before, run(context, target))
end

function actions.status(context)
  local screen, utc = context.screen, context.options.utc
  local version, newest = failure.must(context.store:schema_version())
  local steps = failure.must(context.store:migrations())
  if context.options.json then
    local shown = array({})
    for i, step in ipairs(steps) do
      shown[i] = { version = step.version, name = step.name, applied_at = step.applied_at }
    end
    screen:write(json_text({ version = version, newest = newest, migrations = shown }), "\n")
    return
  end
  local lines = {}
  for i, step in ipairs(steps) do
    lines[i] = {
      tostring(step.version), step.name,
      step.applied_at and times.text(step.applied_at, "second", utc) or "pending",
    }
  end
  local rows = new_rows(screen, {
    { title = "VERSION", right = true }, { title = "NAME" }, { title = "APPLIED" },
  })
  rows:write(lines)
end

function actions.sql(context)
  local screen, store = context.screen, context.store
  local version, newest = failure.must(store:schema_version())
  local target = context.options.to or newest
  if math.max(version, target) > newest then
    failure.raise(failure.FAILED, "there is a version %d and this library knows %d; update convstore",
      math.max(version, target), newest)
  end
  local steps, way = path(store, version, target)
  if context.options.json then
    local shown = array({})
    for i, step in ipairs(steps) do
      shown[i] = { version = step.version, name = step.name, direction = way, sql = step[way] }
    end
    screen:write(json_text(shown), "\n")
  elseif #steps == 0 then
    screen:say(("the schema is at version %d; there is nothing to run"):format(version))
  else
    screen:write("-- What convstore migrate ", way, " would run in one transaction, to be read. It also\n"
      .. "-- notes each step in a table, without which the tables are not used: let it run them.\n")
    for _, step in ipairs(steps) do
      screen:write(("\n-- %s: %d %s\n"):format(way, step.version, step.name), step[way], "\n")
    end
  end
end

local migrate = {}

--- convstore migrate
---@param context convstore.Context
function migrate.migrate(context)
  return actions[context.arguments.ACTION or "up"](context)
end

return migrate
