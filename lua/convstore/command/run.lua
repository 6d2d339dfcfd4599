--- The command convstore: a command line in, an exit status out. See commands.lua for what it can do, and a module for
-- each of the commands, which gets this:
---@class convstore.Context
---@field options table<string, any> the command line's, by name with _ for -
---@field arguments table<string, any>
---@field screen convstore.Screen
---@field store convstore.Store
---@field user? convstore.User
---@field so_far? fun(): string what was done already, should it be interrupted

local program = require "convstore.command.commands"
local database = require "convstore.command.database"
local failure = require "convstore.command.failure"
local help = require "convstore.command.help"
local parse = require "convstore.command.parse"
local screen_module = require "convstore.command.screen"
local text = require "convstore.command.text"
local in_own_words = require "convstore.command.words"

-- A command for all users that ignored --user would do far more than was asked.
local function check_user(line)
  local name = line.command.name
  if line.command.user and not line.options.user then
    failure.raise(failure.USAGE, "%s needs --user ID; see convstore %s --help", name, name)
  elseif line.options.user and not line.command.user then
    failure.raise(failure.USAGE, "%s is about all users and takes no --user; see convstore %s --help", name,
      name)
  end
end

local function user_of(store, id)
  if not id then
    return nil
  end
  local ok, user = pcall(store.user, store, id)
  if not ok then -- it names an argument of Lua, and says in parentheses what is wrong
    failure.raise(failure.USAGE, "option --user: %s", user:match("%((.*)%)$") or user)
  end
  return user
end

-- Does what the command line asks for; the exit status.
local function work(argv, screen, context)
  local line = parse(program, argv)
  if line.options.help then
    screen:write(line.command and help.command(program, line.command) or help.program(program))
    return 0
  elseif line.options.version then
    screen:write(require("convstore")._VERSION, "\n")
    return 0
  elseif not line.command then
    failure.raise(failure.USAGE, "which command? See convstore --help")
  end
  check_user(line)
  context.options, context.arguments, context.screen = line.options, line.arguments, screen
  local run = require("convstore.command." .. line.command.run)[line.command.name]
  local store <close> = database.open(line, screen)
  context.store, context.user = store, user_of(store, line.options.user)
  return run(context) or 0
end

-- What Ctrl-C left: what was done before it, and whether the last call may have been done as well.
local function stopped(raised, context)
  local parts = { "stopped", context.so_far and context.so_far() }
  local message = failure.is(raised) and raised.message or tostring(raised)
  if message:find("it is not known whether", 1, true) then
    parts[#parts + 1] = "the server had not answered, so what it was asked last may still be done"
  end
  return table.concat(parts, "; ")
end

-- What a raised value means: the exit status, and a line for standard error if it takes one.
local function judge(raised, context)
  if screen_module.interrupted() then -- whatever that made fail
    return failure.INTERRUPTED, stopped(raised, context)
  end
  if failure.is(raised) then
    return raised.status, raised.message
  end
  local message = tostring(raised)
  if message:find("^%l+_?%l*: ") then -- an iterator of the library's raises its message
    return failure.FAILED, in_own_words(message)
  end
  return failure.FAILED, "internal: " .. message .. ": please report this"
end

--- Runs a command line.
---@param argv string[]
---@return integer status for the shell
return function(argv)
  local screen, context = screen_module.new(), {}
  screen.catch_interrupts()
  local ok, result = pcall(function()
    local status = work(argv, screen, context)
    screen:flush()
    return status
  end)
  screen:clear()
  if ok then
    return result
  end
  local status, message = judge(result, context)
  pcall(screen.flush, screen)
  if message then
    screen:say(text.line(database.without_passwords(message)))
  end
  return status
end
