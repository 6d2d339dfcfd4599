-- The programs of examples/ as processes of their own.
local process = require "spec.support.process"
local shell = require "spec.support.shell"
local socket = require "socket"

local example = {}

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"
local ROOT = require("lfs").currentdir()

-- Where Lua's modules are, from any folder.
function example.lua_path()
  return process.absolute(package.path, ROOT)
end

-- The words of a shell that run `program` (such as "examples/eliza.lua") by Lua, from any folder.
function example.words(program, arguments, env)
  local words = {
    "env -u CONVSTORE_DSN",
    "LUA_PATH=" .. shell.quote(example.lua_path()),
    "LUA_CPATH=" .. shell.quote(process.absolute(package.cpath, ROOT)),
  }
  for name, value in pairs(env or {}) do
    words[#words + 1] = name .. "=" .. shell.quote(value)
  end
  words[#words + 1] = LUA .. " " .. (program:find("^/") and program or ROOT .. "/" .. program)
  for _, argument in ipairs(arguments or {}) do
    words[#words + 1] = shell.quote(tostring(argument))
  end
  return table.concat(words, " ")
end

-- Starts one in `folder`.
function example.start(folder, program, arguments, env)
  return process.command(folder, example.words(program, arguments, env), { directory = folder })
end

-- Runs one to its good end with lines on its standard input; what it printed.
function example.run(folder, program, arguments, env, lines)
  local running = example.start(folder, program, arguments, env)
  for _, line in ipairs(lines or {}) do
    running:tell(line)
  end
  local output, ok, errors = running:finish()
  if not ok then
    error(("%s failed: %s%s"):format(program, output, errors), 2)
  end
  return output
end

-- Asks `question` until its answer is true: what another process does has no other sign. An error after `seconds`.
function example.wait_until(question, seconds)
  for _ = 1, (seconds or 20) * 50 do
    local answer = question()
    if answer then
      return answer
    end
    socket.sleep(0.02)
  end
  error("it did not come to pass", 2)
end

-- A port that nobody has just now.
function example.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

-- Waits until somebody listens there.
function example.wait_for_port(port)
  example.wait_until(function()
    local connection = socket.connect("127.0.0.1", port)
    return connection and connection:close()
  end)
end

-- Whether a server of Debian's is there: its path. Where it is not, the spec is pending, and fails in CI.
function example.server(name)
  local found, path = shell.run("PATH=$PATH:/usr/sbin command -v " .. name)
  if found then
    return (path:gsub("%s+$", ""))
  end
  local message = name .. " is not installed (tools/install_deps ci)"
  assert(os.getenv("CI") ~= "true", message)
  return nil, message
end

return example
