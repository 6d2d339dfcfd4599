-- The command convstore as a process of its own, with and without a terminal.
local process = require "spec.support.process"
local shell = require "spec.support.shell"

local command = {}

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

-- What the surroundings may say otherwise.
local ENV = { CONVSTORE_DSN = false, NO_COLOR = false, TERM = "xterm", TZ = "UTC0" }

-- The words of a shell that run the command. `env`: variables, false for one that is not set.
local function words_of(arguments, env)
  local unset, set = {}, {}
  for _, list in ipairs({ ENV, env or {} }) do
    for name, value in pairs(list) do
      unset[name] = "-u " .. name
      set[name] = value and name .. "=" .. shell.quote(value) or nil
    end
  end
  -- By their names, so that a variable of `env` comes instead of the usual one.
  local words = { "env" }
  for name, word in pairs(unset) do
    words[#words + 1] = set[name] and "" or word
  end
  for _, word in pairs(set) do
    words[#words + 1] = word
  end
  words[#words + 1] = "LUA_PATH=" .. shell.quote(package.path)
  words[#words + 1] = "LUA_CPATH=" .. shell.quote(package.cpath)
  words[#words + 1] = LUA .. " tools/convstore"
  for _, argument in ipairs(arguments) do
    words[#words + 1] = shell.quote(tostring(argument))
  end
  return table.concat(words, " ")
end

-- Runs it without a terminal, in the words of `shell_words` where there are some: "%s | head". Its exit status, what it
-- printed and its standard error.
function command.run(arguments, env, shell_words)
  local errors = os.tmpname()
  local words = (shell_words or "%s"):gsub("%%s", function() return words_of(arguments, env) end)
  local pipe = assert(io.popen(("exec 2>%s </dev/null; %s"):format(shell.quote(errors), words)))
  local output = pipe:read("a")
  local _, how, code = pipe:close()
  local said = shell.read(errors)
  os.remove(errors)
  return how == "signal" and 128 + code or code, output, said
end

-- Starts it without a terminal, as a process that can be sent signals.
function command.start(folder, arguments, env)
  local session = process.command(folder, words_of(arguments, env))

  -- As Ctrl-C does.
  function session.interrupt(_)
    assert(shell.run("kill -INT " .. session.pid))
  end

  -- Waits for the end, as run() does.
  function session.ended()
    session.input:close()
    local output = session.pipe:read("a")
    local _, how, code = session.pipe:close()
    return how == "signal" and 128 + code or code, output, shell.read(session.errors)
  end

  return session
end

-- Starts it on a terminal of its own with 80 columns; its standard input is what is told to the process.
function command.on_terminal(folder, arguments, env)
  local status = folder .. "/status"
  -- Ctrl-C reaches the shell in between, too, which must outlive it.
  local inner = ("trap : INT; stty cols 80 rows 24; %s; echo $? >%s"):format(words_of(arguments, env),
    shell.quote(status))
  local session = process.command(folder, "script -qefc " .. shell.quote(inner) .. " /dev/null")
  session.seen = ""

  -- Reads until the screen has shown a text.
  function session.wait_for(_, text)
    while not session.seen:find(text, 1, true) do
      local byte = session.pipe:read(1)
      if not byte then
        error(("the command ended and never said %q but: %s"):format(text, session.seen), 2)
      end
      session.seen = session.seen .. byte
    end
  end

  -- As from a keyboard: nothing is added.
  function session.type(_, keys)
    session.input:write(keys)
    session.input:flush()
  end

  -- Waits for the end: the exit status, and all that was on the screen.
  function session.ended()
    session.seen = session.seen .. session.pipe:read("a")
    session:finish()
    return tonumber(shell.read(status)), session.seen
  end

  return session
end

return command
