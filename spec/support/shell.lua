-- Folders and commands for specs: what a spec needs of the operating system, and no more.
local lfs = require "lfs"
local convstore = require "convstore"

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

-- A new empty folder. With `on_disk`, below TMPDIR.
function shell.folder(on_disk)
  local below = on_disk and (os.getenv("TMPDIR") or "/tmp") or base or choose_base()
  local path = ("%s/convstore_spec.%s"):format(below, convstore.uuid())
  assert(lfs.mkdir(path))
  return path
end

-- Removes a folder with all that is in it. By hand: a thousand processes that do it take longer than most tests.
function shell.remove(path)
  assert(path:find("convstore_spec", 1, true), "not a folder of these specs")
  for name in lfs.dir(path) do
    local entry = path .. "/" .. name
    if name ~= "." and name ~= ".." then
      if lfs.symlinkattributes(entry, "mode") == "directory" then
        shell.remove(entry)
      else
        assert(os.remove(entry))
      end
    end
  end
  assert(lfs.rmdir(path))
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
