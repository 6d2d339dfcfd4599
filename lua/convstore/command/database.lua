--- Opening the database that the command line names, so that a command can do no more than it should: only `migrate`
-- creates a file, and nothing else changes a schema.

local convstore = require "convstore"
local core = require "convstore.core" -- for what files there are
local failure = require "convstore.command.failure"

local database = {}

local HOUR = 3600

--- Whether a DSN holds a password.
---@param dsn string
---@return boolean
function database.has_password(dsn)
  dsn = dsn:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):lower()
  return dsn:find("://[^/@]*:[^/@]+@") ~= nil or dsn:find("password%s*=%s*[^%s&]") ~= nil
end

--- A message without the passwords of the connection strings in it.
---@param message string
---@return string
function database.without_passwords(message)
  message = message:gsub("(://[^/@%s:]*:)[^@%s]*@", "%1***@")
  message = message:gsub("(password%s*=%s*)'[^']*'?", "%1***")
  return (message:gsub("(password%s*=%s*)[^%s&*'\"]+", "%1***"))
end

-- Whether a DSN is for SQLite.
local function is_sqlite(dsn)
  return not (dsn:find("^postgres:") or dsn:find("^[%w+.-]+://") or dsn:find("^postgresql:"))
end

-- The file of a DSN; nil where it names a server, or memory.
local function file_of(dsn)
  local path = dsn:match("^sqlite:(.*)$") or dsn
  if path == ":memory:" or not is_sqlite(dsn) then
    return nil
  end
  return path
end

-- An option that would do nothing is refused: who gives it expects something.
local function check_options(line, dsn, action)
  local command = line.command
  for _, option in pairs(line.given) do
    if option.postgres and is_sqlite(dsn) then
      failure.raise(failure.USAGE, "--%s is for PostgreSQL, and this is SQLite; see convstore %s --help",
        option.name, command.name)
    elseif option.actions and not option.actions[action] then
      failure.raise(failure.USAGE, "%s %s takes no --%s; see convstore %s --help", command.name, action,
        option.name, command.name)
    end
  end
end

local function dsn_of(line, screen)
  local dsn = line.options.dsn or os.getenv("CONVSTORE_DSN") or ""
  if dsn == "" then
    failure.raise(failure.USAGE, "which database? Give --dsn DSN or set CONVSTORE_DSN; see convstore --help")
  end
  if line.dsn_given and database.has_password(dsn) then
    screen:say("a password in --dsn is seen by everyone on this machine; " ..
      "put the DSN into CONVSTORE_DSN, or the password into a passfile or a service of libpq")
  end
  return dsn
end

local function check_file(dsn, creates)
  local path = file_of(dsn)
  if not path then
    return
  end
  if path == dsn and path:find("^%s*%l+%s*=") then
    failure.raise(failure.USAGE, 'libpq\'s keywords need "postgres:" in front of them, ' ..
      'and a file with such a name "sqlite:"')
  end
  if not creates and not core.exists(path) then
    failure.raise(failure.FAILED, '"%s" does not exist; `convstore migrate` would create it', path)
  end
end

local function role_of(name)
  if name == "" then
    return false
  end
  return name
end

--- Opens the database of a command line.
---@param line convstore.CommandLine
---@param screen convstore.Screen
---@return convstore.Store store to be closed
function database.open(line, screen)
  local options, command = line.options, line.command
  local dsn = dsn_of(line, screen)
  local action = command.name == "migrate" and (line.arguments.ACTION or "up")
  check_options(line, dsn, action)
  check_file(dsn, action == "up" and options.to ~= 0)
  local writes = command.writes and (not action or action == "up" or action == "down")
  local settings = {
    migrate = false,
    readonly = not writes,
    timeout = options.timeout,
    schema = options.schema,
    role = role_of(options.database_role),
    operator_role = options.operator_role,
    users = options.users,
    jwt_claim = options.jwt_claim,
  }
  local store = failure.must(convstore.open(dsn, settings))
  if command.patient and not options.timeout then
    -- Only now: a server that is not there is not waited for so long.
    store:close()
    settings.timeout = HOUR
    store = failure.must(convstore.open(dsn, settings))
  end
  return store
end

return database
