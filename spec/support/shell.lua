-- Folders and commands for specs: what a spec needs of the operating system, and no more.
local lfs = require "lfs"

local shell = {}

-- One word of a shell command, whatever is in it.
function shell.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs a command; true where it succeeded, and what it printed on both of its outputs.
function shell.run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1", "r"))
  local output = pipe:read("a")
  return pipe:close() == true, output
end

-- Where most tests keep their files: the kernel's memory where there is enough of it, since waiting for a disk a
-- thousand times proves nothing; else TMPDIR.
local base

local function choose_base()
  local _, output = shell.run("test -w /dev/shm && df --output=avail -k /dev/shm | tail -n 1")
  local on_disk = os.getenv("TMPDIR") or "/tmp"
  base = (tonumber(output) or 0) > 500000 and "/dev/shm" or on_disk
  return base
end

-- A new empty folder, open to every user since some children give up root. With `on_disk`, below TMPDIR.
function shell.folder(on_disk)
  local template = on_disk and "-t convstore_spec.XXXXXXXX"
    or "-p " .. shell.quote(base or choose_base()) .. " convstore_spec.XXXXXXXX"
  local ok, output = shell.run("mktemp -d " .. template)
  local path = output:gsub("\n$", "")
  assert(ok, output)
  assert(shell.run("chmod 755 " .. shell.quote(path)))
  return path
end

function shell.remove(path)
  assert(path:find("convstore_spec", 1, true), "not a folder of these specs")
  shell.run("rm -rf " .. shell.quote(path))
end

function shell.exists(path)
  return lfs.attributes(path, "mode") ~= nil
end

-- The bytes of a file, or nil where there is none.
function shell.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local bytes = file:read("a")
  file:close()
  return bytes
end

function shell.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
end

function shell.is_root()
  local _, output = shell.run("id -u")
  return output == "0\n"
end

return shell
