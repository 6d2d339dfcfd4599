-- What scenarios do to the machine: small disks of the kernel's memory, and PostgreSQL servers on them.
local lfs = require "lfs"
local process = require "spec.support.process"
local shell = require "spec.support.shell"

local machine = {}

local disks, servers = {}, {} -- those that there are

-- Why there can be no small disk here, or nil.
function machine.no_disks()
  local folder = shell.folder()
  local ok, output = shell.run("mount -t tmpfs -o size=100k tmpfs " .. shell.quote(folder))
  if ok then assert(shell.run("umount " .. shell.quote(folder))) end
  shell.remove(folder)
  return not ok and "a small disk cannot be mounted here: " .. output:gsub("\n", " ") or nil
end

-- A file system of `size` in a folder of its own: `path`; fill(), free(), close(). `reserve`: MiB that are taken from
-- the beginning, and given back by free().
function machine.disk(size, reserve)
  local folder = shell.folder()
  local self = { path = folder .. "/disk" }
  assert(lfs.mkdir(self.path))
  assert(shell.run(("mount -t tmpfs -o size=%s tmpfs %s"):format(size, shell.quote(self.path))))
  local ballast = shell.quote(self.path .. "/ballast")
  if reserve then
    assert(shell.run(("dd if=/dev/zero of=%s bs=1M count=%d"):format(ballast, reserve)))
  end
  -- Somebody else takes all that is left.
  function self.fill()
    shell.run(("dd if=/dev/zero of=%s bs=4k oflag=append conv=notrunc"):format(ballast))
  end
  function self.free()
    assert(shell.run("rm -f " .. ballast))
  end
  function self.remount(how)
    assert(shell.run(("mount -o remount,%s %s"):format(how, shell.quote(self.path))))
  end
  disks[self] = true
  function self.close()
    disks[self] = nil
    -- A server that was stopped at once may still be on its way out.
    assert(shell.run(("for i in 1 2 3 4 5 6 7 8 9; do umount %s && exit 0; sleep 0.5; done; exit 1")
      :format(shell.quote(self.path))))
    shell.remove(folder)
  end
  return self
end

-- Takes away what a scenario that failed has left.
function machine.clean()
  for server in pairs(servers) do
    server.close()
  end
  for disk in pairs(disks) do
    disk.close()
  end
end

-- Gives a folder to whoever has `quoted`.
function machine.give_to(path, quoted)
  assert(shell.run(("chown --reference=%s %s"):format(quoted, shell.quote(path))))
end

-- A PostgreSQL server of its own below `folder`: `url`, run(words), which is pg_ctl's, move_log(path), panics() and
-- close(). `before`: a shell command to run in the process that will be the server's ancestor, such as
-- "ulimit -f 40000".
function machine.server(folder, before)
  local own = shell.folder()
  local tell = "echo $CONVSTORE_TEST_POSTGRES_URL; echo $CONVSTORE_TEST_POSTGRES_CONTROL; read line"
  local command = ("env -u CONVSTORE_TEST_POSTGRES_URL CONVSTORE_PG_DIR=%s tools/with_postgres sh -c %s")
    :format(shell.quote(folder), shell.quote(tell))
  local started = process.command(own, command, { before = before })
  local self = { url = started:line() }
  local control = started:line()
  function self.run(words)
    return shell.run(shell.quote(control) .. " " .. words)
  end
  -- From now on the log is written to `path`.
  function self.move_log(path)
    local data = shell.quote(control:match("^(.*)/") .. "/data")
    assert(self.run("stop fast"))
    machine.give_to(path, data)
    assert(shell.run(("cp -a %s/pg_wal %s && rm -r %s/pg_wal && ln -s %s %s/pg_wal"):format(data,
      shell.quote(path), data, shell.quote(path .. "/pg_wal"), data)))
    assert(self.run("start"))
  end
  -- How often the server gave up.
  function self.panics()
    return select(2, (shell.read(control:match("^(.*)/") .. "/server.log") or ""):gsub("PANIC", ""))
  end
  servers[self] = true
  function self.close()
    servers[self] = nil
    started:tell("end")
    started:finish()
    shell.remove(own)
  end
  return self
end

-- Gives a folder to the user that runs the tests' PostgreSQL server.
function machine.give_to_server(path)
  local control = assert(os.getenv("CONVSTORE_TEST_POSTGRES_CONTROL"), "this server is not ours")
  machine.give_to(path, shell.quote(control:match("^(.*)/")))
end

return machine
