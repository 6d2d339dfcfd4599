-- Ctrl-C while a call waits for a lock or a server: the command ends soon, and what it waited for is not done later.
local backends = require "spec.support.backends"
local command = require "spec.support.command"
local proxy = require "spec.support.proxy"
local psql = require "spec.support.psql"
local shell = require "spec.support.shell"
local system = require "system"

local LATER = "2999-01-01" -- what is there now is older
local SOON = 2 -- seconds: half of one is for the server, the rest is a loaded machine's
local NEVER_MS = 60000

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("an interrupted command " .. backend.tags, function()
      local store, database, holder

      local function release()
        if holder then
          holder:release()
          holder = nil
        end
      end

      before_each(function()
        store, database = backend.fresh()
        for i = 1, 3 do
          local conversation = assert(store:user("a"):create())
          assert(conversation:append("user", "number " .. i))
          assert(conversation:delete())
        end
      end)
      after_each(function()
        release()
        proxy.clean()
        backends.clean()
      end)

      local function start(arguments, dsn)
        return command.start(database.folder, arguments, { CONVSTORE_DSN = dsn or database.dsn })
      end

      local function until_true(test)
        local deadline = system.monotime() + NEVER_MS / 1000
        while not test() do
          assert(system.monotime() < deadline, "it never came so far")
          system.sleep(0.02)
        end
      end

      -- Until the command's call waits for the lock that a holder has. SQLite tells nobody of that; there it is enough
      -- that the command has opened the file, and some time.
      local function wait_until_locked(session)
        if database.path then
          until_true(function()
            return shell.run(("ls -l /proc/%d/fd | grep -q -e -wal"):format(session.pid))
          end)
          system.sleep(0.3)
        else
          until_true(function()
            return database:sql([[SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event_type = 'Lock']]) ~= "0\n"
          end)
        end
      end

      -- Sends Ctrl-C and waits: it must take no longer than SOON.
      local function interrupted(session)
        local began = system.monotime()
        session:interrupt()
        local status, output, said = session:ended()
        local took = system.monotime() - began
        assert.equal(130, status, said)
        assert.equal("", output)
        assert.is_true(took < SOON, ("it took %.2f s"):format(took))
        return said
      end

      local function assert_unchanged()
        assert.equal(3, #assert(store:user("a"):list({ deleted = true })))
        assert.equal(0, assert(store:stats()).archived_messages)
        database:assert_sound()
        assert.same({}, assert(store:check()))
      end

      for _, case in ipairs({
        { name = "purge", { "purge", "--deleted-before", LATER, "--yes" },
          said = "convstore: stopped; purged 0 conversations with 0 messages before\n" },
        { name = "erase", { "--user", "a", "erase", "--yes" },
          said = "convstore: stopped; erased 0 conversations with 0 messages before\n" },
        { name = "archive", { "archive", "--idle-before", LATER },
          said = "convstore: stopped; archived 0 conversations with 0 messages before\n" },
        { name = "migrate down", { "migrate", "down", "--to", "0", "--yes" }, said = "convstore: stopped\n" },
      }) do
        it("gives up its wait for a lock: " .. case.name, function()
          holder = database:hold()
          local session = start(case[1])
          wait_until_locked(session)
          local said = interrupted(session)
          assert.equal(case.said, said)
          -- Also behind its back nothing is done when the lock is free again.
          release()
          system.sleep(0.2)
          local version, newest = store:schema_version()
          assert.equal(newest, version)
          assert_unchanged()
          -- And the next one has its way.
          assert.equal(0, (command.run(case[1], { CONVSTORE_DSN = database.dsn })))
        end)
      end

      if backend.name == "postgres" then
        it("gives up a server that does not answer the connection", function()
          local network = proxy.start(database.dsn)
          network:stall()
          local session = start({ "--user", "a", "list", "--deleted" }, network:dsn(database.dsn))
          until_true(function() return select(3, network:count()) > 0 end)
          assert.equal("convstore: stopped\n", interrupted(session))
        end)

        it("is ended at once by a second Ctrl-C, without a word", function()
          local network = proxy.start(database.dsn)
          holder = database:hold()
          local session = start({ "--user", "a", "erase", "--yes" }, network:dsn(database.dsn))
          wait_until_locked(session)
          network:stall()
          session:interrupt() -- which waits for the server half a second
          system.sleep(0.15)
          session:interrupt()
          local status, output, said = session:ended()
          assert.same({ 130, "", "" }, { status, output, said })
        end)

        it("undoes the transaction around the call", function()
          local alice = store:user("alice")
          assert(alice:conversation("free"))
          local locked = assert(alice:conversation("locked"))
          local other = psql.new(database.admin_url)
          finally(function() other:close() end)
          other:run(("BEGIN; SELECT 1 FROM convstore.conversations WHERE id = '%s' FOR UPDATE"):format(
            locked.id))
          local worker = database:start("interrupted")
          assert.equal("waits", worker:line())
          wait_until_locked(worker)
          assert(shell.run("kill -INT " .. worker.pid))
          assert.truthy(worker:line():find("^nil\ttimeout\ttimeout: the call was interrupted"))
          assert.is_true(select(2, worker:finish()))
          other:run("COMMIT")
          assert.equal(0, alice:usage().messages)
          database:assert_sound()
        end)

        it("gives up a server that does not answer a call, and says what that means", function()
          local network = proxy.start(database.dsn)
          holder = database:hold()
          local session = start({ "purge", "--deleted-before", LATER, "--yes" }, network:dsn(database.dsn))
          wait_until_locked(session)
          network:stall()
          local said = interrupted(session)
          assert.equal("convstore: stopped; purged 0 conversations with 0 messages before; " ..
            "the server had not answered, so what it was asked last may still be done\n", said)
        end)
      end
    end)
  end
end
