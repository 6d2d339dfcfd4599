--- Where the command writes and what it may do there: standard output for what was asked, standard error for words
-- about it. Colours, progress and questions are for terminals alone.

local core = require "convstore.core" -- what is a terminal, and Ctrl-C
local failure = require "convstore.command.failure"

local BROKEN_PIPE = 32 -- errno: EPIPE

---@class convstore.Screen
---@field columns integer|false of standard output, false where it is no terminal
local screen = {}
screen.__index = screen

local STYLES = { bold = "\27[1m", yellow = "\27[33m", cyan = "\27[36m", red = "\27[31m" }
local PLAIN = "\27[0m"
local CLEAR_LINE = "\r\27[K"

--- The screen of this process.
---@return convstore.Screen
function screen.new()
  local term = os.getenv("TERM")
  local able = term ~= nil and term ~= "" and term ~= "dumb"
  local colours = able and (os.getenv("NO_COLOR") or "") == ""
  local columns = core.terminal(1)
  local self = setmetatable({
    columns = columns,
    colours = colours and columns,
    moves = able and core.terminal(2),
    asks = core.terminal(0) and core.terminal(2),
    shows_progress = false,
    asking = false, -- the cursor stands behind a question
  }, screen)
  io.stdout:setvbuf(columns and "line" or "full")
  return self
end

-- Whether the output arrived; gives up where it did not.
local function arrived(ok, message, code)
  if ok then
    return
  end
  if code == BROKEN_PIPE then
    failure.quiet(141) -- what a shell reports of a program that SIGPIPE ended
  end
  failure.raise(failure.FAILED, "the output cannot be written: %s", message)
end

--- Writes to standard output.
---@param ... string
function screen:write(...)
  self:clear()
  arrived(io.stdout:write(...))
end

--- Hands on what is still buffered.
function screen:flush()
  arrived(io.stdout:flush())
end

--- A text in a style, where there are colours.
---@param style "bold"|"yellow"|"cyan"|"red"
---@param text string
---@return string
function screen:styled(style, text)
  return self.colours and STYLES[style] .. text .. PLAIN or text
end

--- Shows how far long work is, in one line that the next one replaces; nothing where nobody watches.
---@param message string
function screen:progress(message)
  if self.moves then
    io.stderr:write(CLEAR_LINE, message)
    self.shows_progress = true
  end
end

--- Takes the line of progress away, or leaves that of a question which Ctrl-C or the end of the input answered.
function screen:clear()
  if self.shows_progress then
    io.stderr:write(CLEAR_LINE)
    self.shows_progress = false
  elseif self.asking then
    io.stderr:write("\n")
    self.asking = false
  end
end

--- A line on standard error.
---@param message string
function screen:say(message)
  self:clear()
  io.stderr:write("convstore: ", message, "\n")
end

--- Gives up where nobody can be asked.
---@param what string what would be done, a sentence
function screen:require_terminal(what)
  if not self.asks then
    failure.raise(failure.FAILED, "%s There is no terminal to ask on: give --yes", what)
  end
end

--- Asks on the terminal; gives up without a terminal, or without a yes.
---@param what string what would be done, a sentence
function screen:confirm(what)
  self:require_terminal(what)
  self:clear()
  self.asking = true
  io.stderr:write(what, "\nGo on? [y/N] ")
  local answer = io.read("l")
  self.asking = not answer
  if not (answer and answer:lower():find("^%s*y")) then
    failure.raise(failure.FAILED, "not confirmed; nothing was changed")
  end
end

--- From now on Ctrl-C ends what the library waits for: the call fails. A second one ends the process.
screen.catch_interrupts = core.catch_interrupts

--- Whether Ctrl-C came.
---@type fun(): boolean
screen.interrupted = core.interrupted

return screen
