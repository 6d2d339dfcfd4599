-- On what a benchmark ran: figures without it mean nothing.
local convstore = require "convstore"
local twin = require "twin"

local environment = {}

local function output(command)
  local pipe <close> = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read("a"):gsub("%s+$", "")
  return text ~= "" and text or "unknown"
end

function environment.print(folder)
  local file_system = output(("df --output=fstype '%s' | tail -n 1"):format(folder))
  for _, line in ipairs{
    "Date: " .. os.date("!%Y-%m-%d"),
    "convstore: " .. convstore._VERSION .. ", " .. output("git rev-parse --short HEAD"),
    "SQLite: " .. twin.sqlite_version,
    "CPU: " .. output("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"),
    "Cores: " .. output("nproc"),
    "System: " .. output("uname -sr") .. ", file system: " .. file_system,
    "Lua: " .. output("lua5.4 -v") .. "; compiler: " .. twin.compiler,
    "Load before: " .. output("cut -d ' ' -f 1-3 /proc/loadavg"),
  } do print("- " .. line) end
end

return environment
