-- Fresh databases for runs, and plain SQL in them by the database's own shell: never by convstore.
-- A place: `dialect`, `dsn`, `folder` (for what a run needs beside it), sql(text) → what the shell prints, settle(),
-- which waits until nobody is at it any more, and close(), which removes all of it.
local convstore = require "convstore"
local system = require "system"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"

local place = {}

-- A file in a folder of its own, or in `folder`, which is the caller's.
function place.sqlite(folder)
  local own = shell.folder()
  local self = { dialect = "sqlite", folder = own, path = (folder or own) .. "/bot.db" }
  self.dsn = self.path
  function self.sql(text)
    local ok, output = shell.run(("sqlite3 -batch -bail -cmd '.timeout 10000' %s %s"):format(
      shell.quote(self.path), shell.quote(text)))
    return ok and output or error("sqlite3: " .. output, 2)
  end
  function self.settle() end
  function self.close()
    shell.remove(own)
  end
  return self
end

-- The URL of another database of the same server.
function place.with_database(url, name)
  return (url:gsub("^(%a+://[^/]*/)[^?]*", "%1" .. name, 1))
end

-- A new database of the server that tools/with_postgres started, or of the one of `url`. `clause`: for CREATE DATABASE.
function place.postgres(url, clause)
  url = url or os.getenv("CONVSTORE_TEST_POSTGRES_URL")
  local admin = psql.new(url)
  local name = "convstore_spec_faults_" .. convstore.uuid():sub(-12)
  admin:run("CREATE DATABASE " .. name .. " " .. (clause or ""))
  local self = { dialect = "postgres", folder = shell.folder(), dsn = place.with_database(url, name),
    name = name, admin = admin }
  local inside = psql.new(self.dsn)
  function self.sql(text)
    return inside:run("SET client_min_messages = warning;\n" .. text)
  end
  function self.settle()
    local deadline = system.monotime() + 60
    while self.sql([[SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()]]) ~= "0\n" do
      assert(system.monotime() < deadline, "somebody is still connected to " .. name)
      system.sleep(0.02)
    end
  end
  function self.close()
    inside:close()
    admin:run(("DROP DATABASE %s WITH (FORCE)"):format(name))
    admin:close()
    shell.remove(self.folder)
  end
  return self
end

-- A new place of a dialect.
function place.new(dialect)
  return place[dialect]()
end

return place
