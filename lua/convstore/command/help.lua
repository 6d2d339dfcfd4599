--- The texts of --help, made of the table of commands, for 80 columns.

local WIDTH = 80

local help = {}

-- Breaks a text between words; every line after the first, and the first after `used` columns, begins at `indent`.
local function wrap(text, indent, used)
  local lines, line, width = {}, "", used or indent
  for word in text:gmatch("%S+") do
    if line ~= "" and width + 1 + #word >= WIDTH then
      lines[#lines + 1] = line
      line, width = "", indent
    end
    width = width + (line == "" and 0 or 1) + #word
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

-- Rows of a name and what it means, the second column at 26 or on a line of its own.
local function add_rows(parts, rows)
  local column = 26
  for _, row in ipairs(rows) do
    local name = "  " .. row[1]
    local gap = #name < column - 1 and (" "):rep(column - #name) or "\n" .. (" "):rep(column)
    parts[#parts + 1] = name .. gap .. wrap(row[2], column) .. "\n"
  end
end

--- An option as it is written: "--limit N", "-h, --help".
---@param option table
---@return string
function help.option(option)
  local text = "--" .. option.name .. (option.value and " " .. option.value or "")
  return option.short and ("-%s, %s"):format(option.short, text) or text
end

--- What an option is for, and what it may be.
---@param option table
---@return string
function help.meaning(option)
  return option.help .. (option.choices and ": " .. table.concat(option.choices, ", ") or "")
end

--- What stands behind a command's name: "[OPTION]… CONVERSATION".
---@param command table
---@return string
function help.synopsis(command)
  local parts = { command.name }
  for _, argument in ipairs(command.arguments or {}) do
    local text = argument.choices and table.concat(argument.choices, "|") or argument.name
    text = text .. (argument.many and "…" or "")
    parts[#parts + 1] = argument.optional and "[" .. text .. "]" or text
  end
  if command.options then
    table.insert(parts, 2, "[OPTION]…")
  end
  return table.concat(parts, " ")
end

local function add_options(parts, title, options)
  local rows = {}
  for _, option in ipairs(options or {}) do
    rows[#rows + 1] = { help.option(option), help.meaning(option) }
  end
  if #rows > 0 then
    parts[#parts + 1] = "\n" .. title .. ":\n"
    add_rows(parts, rows)
  end
end

local function add_description(parts, paragraphs)
  for _, paragraph in ipairs(paragraphs or {}) do
    parts[#parts + 1] = "\n" .. wrap(paragraph, 0) .. "\n"
  end
end

--- The help of the whole program.
---@param program table the table of commands
---@return string
function help.program(program)
  local parts = { ("Usage: %s [--dsn DSN] [--user ID] COMMAND …\n"):format(program.name) }
  add_description(parts, { program.description[1] })
  parts[#parts + 1] = "\nCommands:\n"
  local rows = {}
  for _, command in ipairs(program.commands) do
    rows[#rows + 1] = { command.name, command.summary }
  end
  add_rows(parts, rows)
  add_options(parts, "Options", program.options)
  parts[#parts + 1] = ("\n%s COMMAND --help tells more.\n"):format(program.name)
  return table.concat(parts)
end

--- The help of one command.
---@param program table the table of commands
---@param command table its entry
---@return string
function help.command(program, command)
  local user = command.user and "--user ID " or ""
  local parts = { ("Usage: %s [--dsn DSN] %s%s\n"):format(program.name, user, help.synopsis(command)) }
  parts[#parts + 1] = "\n" .. wrap(command.summary:gsub("^%l", string.upper) .. ".", 0) .. "\n"
  add_description(parts, command.description)
  add_options(parts, "Options of " .. command.name, command.options)
  parts[#parts + 1] = "\nOptions of every command: see convstore --help.\n\nExamples:\n"
  for _, example in ipairs(command.examples) do
    parts[#parts + 1] = "  " .. example .. "\n"
  end
  return table.concat(parts)
end

return help
