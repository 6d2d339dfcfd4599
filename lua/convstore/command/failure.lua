--- How the command gives up: one error value, a table with the exit status and the one line for standard error.
-- Everything below run.lua raises it, and only run.lua catches it.

local in_own_words = require "convstore.command.words"

local failure = {
  FAILED = 1, -- refused, or it did not work
  USAGE = 2, -- the command line is wrong
  INTERRUPTED = 130, -- what a shell reports of a program that Ctrl-C ended
}

local metatable = { __name = "convstore.command.failure" }

--- Gives up with a message.
---@param status integer
---@param message string one line
---@param ... any for the message as a format
function failure.raise(status, message, ...)
  if select("#", ...) > 0 then
    message = message:format(...)
  end
  error(setmetatable({ status = status, message = message }, metatable), 0)
end

--- Gives up without a word: whoever reads the output has gone.
function failure.quiet(status)
  error(setmetatable({ status = status }, metatable), 0)
end

--- The results of a call to the library, or gives up with its message.
---@generic T
---@param value T?
---@param message? string
---@param ... any
---@return T value
---@return any ... the other results
function failure.must(value, message, ...)
  if value == nil and message ~= nil then
    failure.raise(failure.FAILED, "%s", in_own_words(message))
  end
  return value, message, ...
end

--- Whether an error value is one of these.
function failure.is(value)
  return getmetatable(value) == metatable
end

return failure
