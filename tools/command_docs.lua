-- Makes the manual page or the bash completion of the command from its table of commands.
-- Usage: lua5.4 tools/command_docs.lua man VERSION | bash, in a clone: it reads lua/ and needs nothing that is built.
package.path = "lua/?.lua;" .. package.path

local help = require "convstore.command.help"
local program = require "convstore.command.commands"

-- The manual page ----------------------------------------------------------------------------------------------------

-- Text for troff: no character of it is a command.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("-", "\\-"):gsub("…", "..."):gsub("`", "\\(ga"):gsub("'", "\\(aq")
  return (text:gsub("\n%.", "\n\\&."):gsub("^%.", "\\&."))
end

local function option_rows(add, options)
  for _, option in ipairs(options or {}) do
    local short = option.short and ("\\fB\\-%s\\fR, "):format(option.short) or ""
    local value = option.value and (" \\fI%s\\fR"):format(roff(option.value)) or ""
    add(".TP\n%s\\fB%s\\fR%s\n%s", short, roff("--" .. option.name), value, roff(help.meaning(option)))
  end
end

local EXIT_STATUS = {
  { "0", "It was done." },
  { "1", "It was refused or failed; one line on standard error says why. Also: check found something." },
  { "2", "The command line is wrong." },
  { "130", "It was stopped by Ctrl-C. What was done until then is done whole." },
}

local ENVIRONMENT = {
  { "CONVSTORE_DSN", [[
the database where --dsn is not given. A password is safe here, and in what libpq reads by passfile= or
service=; on the command line everyone on the machine can read it.]] },
  { "NO_COLOR", "no colours" },
  { "TERM", "dumb: neither colours nor progress" },
  { "TZ", "the local zone" },
}

local function rows(add, title, list)
  add(".SH %s", title)
  for _, row in ipairs(list) do
    add(".TP\n\\fB%s\\fR\n%s", roff(row[1]), roff(row[2]))
  end
end

local function manual(version)
  local lines = {}
  local function add(text, ...)
    lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
  end
  local function paragraphs(list)
    for _, paragraph in ipairs(list or {}) do
      add(".PP\n%s", roff(paragraph))
    end
  end
  add('.TH CONVSTORE 1 "" "convstore %s" "User Commands"', version)
  add(".nh\n.ad l") -- no hyphens in the names of settings
  add(".SH NAME\n%s \\- %s", program.name, roff(program.summary))
  add(".SH SYNOPSIS\n.B %s", program.name)
  add("[\\fB\\-\\-dsn\\fR \\fIDSN\\fR] [\\fB\\-\\-user\\fR \\fIID\\fR] \\fICOMMAND\\fR ...")
  add(".SH DESCRIPTION")
  paragraphs(program.description)
  add(".SH OPTIONS")
  option_rows(add, program.options)
  add(".SH COMMANDS")
  for _, command in ipairs(program.commands) do
    add(".SS %s", roff((command.user and "--user ID " or "") .. help.synopsis(command)))
    add(roff(command.summary:gsub("^%l", string.upper)) .. ".")
    paragraphs(command.description)
    option_rows(add, command.options)
  end
  rows(add, "EXIT STATUS", EXIT_STATUS)
  rows(add, "ENVIRONMENT", ENVIRONMENT)
  add(".SH EXAMPLES\n.nf")
  for _, command in ipairs(program.commands) do
    for _, example in ipairs(command.examples) do
      add(roff(example))
    end
  end
  add(".fi")
  return table.concat(lines, "\n") .. "\n"
end

-- The completion -----------------------------------------------------------------------------------------------------

local COMPLETION = [=[
# bash completion of the command %(name)s; made of its table of commands.
_%(name)s() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' words='' options='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
%(valued)s      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $before in
    --dsn) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  case $command in
    '') words='%(names)s' ;;
%(commands)s  esac
  case $command:$before in
%(choices)s%(silent)s    *) if [[ $word == -* ]]; then words="$options %(options)s"; fi ;;
  esac
  if [[ $words == FILE ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  fi
}
complete -F _%(name)s %(name)s
]=]

local function names_of(options)
  local names = {}
  for i, option in ipairs(options or {}) do
    names[i] = "--" .. option.name
  end
  return table.concat(names, " ")
end

-- What a command's first argument may be; FILE: any file.
local function argument_words(command)
  local argument = command.arguments and command.arguments[1] or {}
  return argument.file and "FILE" or table.concat(argument.choices or {}, " ")
end

-- Every option that takes a value, once, as a case of the shell; `action` is what follows.
local function each_valued(pattern, action)
  local cases, seen = {}, {}
  local function add(options)
    for _, option in ipairs(options or {}) do
      if option.value and not seen[option.name] then
        seen[option.name] = true
        cases[#cases + 1] = (pattern .. "--%s) %s ;;\n"):format(option.name, action)
      end
    end
  end
  add(program.options)
  for _, command in ipairs(program.commands) do
    add(command.options)
  end
  return table.concat(cases)
end

local function completion()
  local names, commands, choices = {}, {}, {}
  for i, command in ipairs(program.commands) do
    names[i] = command.name
    commands[i] = ("    %s) words='%s' options='%s' ;;\n"):format(command.name, argument_words(command),
      names_of(command.options))
    for _, option in ipairs(command.options or {}) do
      if option.choices then
        choices[#choices + 1] = ("    %s:--%s) words='%s' ;;\n"):format(command.name, option.name,
          table.concat(option.choices, " "))
      end
    end
  end
  local parts = {
    name = program.name, names = table.concat(names, " "), commands = table.concat(commands),
    choices = table.concat(choices), options = names_of(program.options),
    valued = each_valued("      ", "((i++))"), silent = each_valued("    *:", "words=''"),
  }
  return (COMPLETION:gsub("%%%((%l+)%)s", parts))
end

if arg[1] == "man" and arg[2] then
  io.write(manual(arg[2]))
elseif arg[1] == "bash" then
  io.write(completion())
else
  io.stderr:write("usage: lua5.4 tools/command_docs.lua man VERSION | bash\n")
  os.exit(2)
end
