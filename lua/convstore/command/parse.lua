--- Reads a command line by the table of commands. It knows no command by name, and does nothing.

local failure = require "convstore.command.failure"
local nearest = require "convstore.command.nearest"
local values = require "convstore.command.values"

local ASKS = { help = true, version = true }

---@class convstore.CommandLine
---@field command? table the command's entry in the table; absent: none was named
---@field options table<string, any> by name, with _ for -
---@field arguments table<string, any> by their names in the table
---@field given table<string, table> the entries of the options that were given, by the same names
---@field dsn_given boolean the DSN stands on the command line, where others see it

local function usage(command, message, ...)
  local hint = command and " " .. command.name or ""
  failure.raise(failure.USAGE, "%s; see convstore%s --help", message:format(...), hint)
end

local function suggestion(word, words, prefix)
  local found = nearest(word, words)
  return found and (", did you mean %s%s?"):format(prefix, found) or ""
end

-- The options that may be given: those of everything and those of the command, by their names.
local function known_options(program, command)
  local known, names = {}, {}
  for _, list in ipairs({ program.options, command and command.options or {} }) do
    for _, option in ipairs(list) do
      known["--" .. option.name] = option
      names[#names + 1] = option.name
      if option.short then
        known["-" .. option.short] = option
      end
    end
  end
  return known, names
end

local function find_command(program, word)
  local names = {}
  for _, command in ipairs(program.commands) do
    if command.name == word then
      return command
    end
    names[#names + 1] = command.name
  end
  usage(nil, "unknown command %s%s", word, suggestion(word, names, ""))
end

-- Takes the option at argv[i]; the index of what comes behind it.
local function take_option(line, program, argv, i)
  local known, names = known_options(program, line.command)
  local word = argv[i]
  local name, joined = word:match("^(%-%-[^=]+)=(.*)$")
  name = name or word
  local option = known[name]
  if not option then
    usage(line.command, "unknown option %s%s", name, suggestion(name:gsub("^%-+", ""), names, "--"))
  end
  local key = option.name:gsub("-", "_")
  if not option.value then
    if joined then
      usage(line.command, "option %s takes no value", name)
    end
    line.options[key] = true
    line.given[key] = option
    return i + 1
  end
  if not joined then
    i = i + 1
    joined = argv[i]
    if not joined then
      usage(line.command, "option %s needs a value: %s", name, option.value)
    end
  end
  if line.options[key] ~= nil then
    usage(line.command, "option %s is given twice", name)
  end
  line.options[key] = joined
  line.given[key] = option
  return i + 1
end

-- The words that are no options, as the command's arguments.
local function take_arguments(line, words)
  local taken = 0
  for _, argument in ipairs(line.command.arguments or {}) do
    local text = words[taken + 1]
    if argument.many and text then
      text = table.concat(words, " ", taken + 1)
      taken = #words
    elseif text then
      taken = taken + 1
    elseif not argument.optional then
      usage(line.command, "%s needs %s", line.command.name, argument.name)
    end
    if text and argument.choices and not values.read(text, argument, false) then
      usage(line.command, "unknown %s %s%s", argument.name:lower(), text,
        suggestion(text, argument.choices, ""))
    end
    line.arguments[argument.name] = text
  end
  if taken < #words then
    usage(line.command, "%s takes no %s", line.command.name, words[taken + 1])
  end
end

-- From texts to values, once all options are known: --utc may stand behind a time.
local function read_values(line)
  for key, spec in pairs(line.given) do
    if spec.value then
      local value, right = values.read(line.options[key], spec, line.options.utc == true)
      if value == nil then
        usage(line.command, 'option --%s must be %s, not "%s"', spec.name, right, line.options[key])
      end
      line.options[key] = value
    end
  end
end

--- Reads a command line. Gives up with the usage status where it is wrong.
---@param program table the table of commands
---@param argv string[]
---@return convstore.CommandLine
return function(program, argv)
  local line = { options = {}, arguments = {}, given = {} }
  local words, i, only_words = {}, 1, false
  while argv[i] do
    local word = argv[i]
    if only_words or word == "-" or word:sub(1, 1) ~= "-" then
      if line.command then
        words[#words + 1] = word
      elseif ASKS[word] then
        line.options[word] = true -- as a word people try it, too: convstore help list
      else
        line.command = find_command(program, word)
      end
      i = i + 1
    elseif word == "--" then
      only_words = true
      i = i + 1
    else
      i = take_option(line, program, argv, i)
    end
  end
  line.dsn_given = line.options.dsn ~= nil
  if not (line.options.help or line.options.version) and line.command then
    take_arguments(line, words)
    read_values(line)
  end
  return line
end
