-- The command on a terminal: colours, the width, progress, questions, Ctrl-C.
local backends = require "spec.support.backends"
local command = require "spec.support.command"
local system = require "system"

local LATER = "2999-01-01" -- what is there now is older

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the command on a terminal, with " .. backend.name .. " " .. backend.tags, function()
      local store, database

      before_each(function()
        store, database = backend.fresh()
      end)
      after_each(backends.clean)

      local function start(arguments, env)
        local all = { CONVSTORE_DSN = database.dsn }
        for name, value in pairs(env or {}) do
          all[name] = value
        end
        return command.on_terminal(database.folder, arguments, all)
      end

      local function screen_of(arguments, env)
        local status, screen = start(arguments, env):ended()
        assert.equal(0, status, screen)
        return screen
      end

      local function deleted(n)
        for i = 1, n do
          local conversation = assert(store:user("a"):create())
          assert(conversation:append("user", "number " .. i))
          assert(conversation:delete())
        end
      end

      it("uses colours, but not with NO_COLOR, TERM=dumb or none", function()
        assert(store:user("a"):create())
        assert.truthy(screen_of({ "--user", "a", "list" }):find("\27[1mUPDATED", 1, true))
        for _, env in ipairs({ { NO_COLOR = "1" }, { TERM = "dumb" }, { TERM = false } }) do
          assert.falsy(screen_of({ "--user", "a", "list" }, env):find("\27[", 1, true))
        end
        assert.truthy(screen_of({ "--user", "a", "list" }, { NO_COLOR = "" }):find("\27[1m", 1, true))
      end)

      it("cuts the last column of a list at the edge, also where characters are wide", function()
        assert(store:user("a"):create({ title = ("long "):rep(30) }))
        assert(store:user("a"):create({ title = ("印"):rep(60) }))
        local screen = screen_of({ "--user", "a", "list" }, { NO_COLOR = "1" })
        local text = require "convstore.command.text"
        local n = 0
        for line in screen:gmatch("[^\r\n]*…") do
          n = n + 1
          assert.is_true(text.width(line) <= 80 and text.width(line) >= 78, line)
        end
        assert.equal(2, n)
      end)

      it("cuts a long key, which a program gets whole", function()
        local key = ("k"):rep(255)
        assert(store:user("a"):conversation(key, { title = "a title" }))
        local screen = screen_of({ "--user", "a", "list" }, { NO_COLOR = "1" })
        assert.truthy(screen:find(" " .. ("k"):rep(39) .. "…  a title", 1, true), screen)
        local output = select(2, command.run({ "--user", "a", "list" }, { CONVSTORE_DSN = database.dsn }))
        assert.truthy(output:find(key .. "  a title", 1, true), output)
      end)

      it("says that a list has more", function()
        for _ = 1, 3 do
          assert(store:user("a"):create())
        end
        assert.truthy(screen_of({ "--user", "a", "list", "--limit", "2" }):find("--all shows all", 1, true))
        assert.falsy(screen_of({ "--user", "a", "list", "--limit", "3" }):find("--all", 1, true))
      end)

      it("counts what a purge would destroy, asks, and takes no answer for a no", function()
        deleted(3)
        assert(assert(store:user("b"):conversation("k")):append("user", "x"))
        for _, answer in ipairs({ "n\n", "\n", "\4" }) do
          local session = start({ "purge", "--deleted-before", LATER })
          session:wait_for("[y/N] ")
          local what = "deletes for good 3 conversations with 3 messages: those deleted before"
          assert.truthy(session.seen:find(what, 1, true), session.seen)
          session:type(answer)
          local got, screen = session:ended()
          assert.equal(1, got, screen)
          assert.truthy(screen:find("nothing was changed", 1, true))
          assert.equal(4, database:count("conversations"))
        end
        local session = start({ "purge", "--deleted-before", LATER })
        session:wait_for("[y/N] ")
        session:type("yes\n")
        assert.equal(0, (session:ended()))
        assert.equal(1, database:count("conversations"))
        local again = screen_of({ "purge", "--deleted-before", LATER })
        assert.truthy(again:find("purged 0 conversations", 1, true), again)
      end)

      it("asks before it erases a user, or takes the schema away", function()
        deleted(2)
        local session = start({ "erase", "--user", "a" })
        session:wait_for("2 conversations with 2 messages: everything of user a.\r\nGo on? [y/N] ")
        session:type("n\n")
        assert.equal(1, (session:ended()))
        session = start({ "migrate", "down", "--to", "0" })
        session:wait_for("convstore's tables with 2 conversations and 2 messages of 1 user.\r\nGo on?")
        session:type("n\n")
        assert.equal(1, (session:ended()))
        session = start({ "migrate", "down" })
        session:wait_for("with what only they keep.\r\nGo on?")
        session:type("n\n")
        assert.equal(1, (session:ended()))
        assert.equal(2, database:count("conversations"))
        session = start({ "erase", "--user", "a" })
        session:wait_for("[y/N] ")
        session:type("y\n")
        assert.equal(0, (session:ended()))
        assert.equal(0, database:count("conversations"))
      end)

      it("stops at a question by Ctrl-C, with 130, and has done nothing", function()
        deleted(1)
        local session = start({ "purge", "--deleted-before", LATER })
        session:wait_for("[y/N] ")
        session:type("\3")
        local status, screen = session:ended()
        assert.equal(130, status)
        assert.truthy(screen:find("\r\nconvstore: stopped\r\n", 1, true), screen)
        assert.equal(1, database:count("conversations"))
      end)

      it("stops a purge by Ctrl-C, with 130, and the same command goes on later", function()
        deleted(120)
        local session = start({ "purge", "--deleted-before", LATER, "--yes", "--limit", "50" })
        assert.equal(0, (session:ended()))
        local holder = database:hold()
        session = start({ "purge", "--deleted-before", LATER, "--yes" })
        session:wait_for("purged 0 conversations with 0 messages …")
        system.sleep(0.3) -- that the part waits for its lock cannot be seen from here
        session:type("\3")
        local status, screen = session:ended()
        holder:release()
        assert.equal(130, status, screen)
        assert.equal(70, #assert(store:user("a"):list({ deleted = true, limit = 1000 })))
        local what = "convstore: stopped; purged 0 conversations with 0 messages before\r\n"
        assert.truthy(screen:find(what, 1, true), screen)
        database:assert_sound()
        -- What is left is a matter of the same command again.
        local again = screen_of({ "purge", "--deleted-before", LATER, "--yes" })
        assert.truthy(again:find("purged 70 conversations", 1, true), again)
      end)

      it("takes a migration back that Ctrl-C interrupts", function()
        deleted(1)
        local newest = select(2, store:schema_version())
        local session = start({ "migrate", "down", "--to", "0" })
        session:wait_for("[y/N] ")
        local holder = database:hold()
        session:type("y\n")
        system.sleep(0.3) -- that it waits for its lock cannot be seen from here
        session:type("\3")
        local status, screen = session:ended()
        holder:release()
        assert.equal(130, status, screen)
        assert.truthy(screen:find("convstore: stopped\r\n", 1, true), screen)
        assert.equal(newest, (store:schema_version()))
      end)

      it("shows progress, and leaves none of it behind", function()
        deleted(60)
        local screen = screen_of({ "purge", "--deleted-before", LATER, "--yes" })
        assert.truthy(screen:find("\r\27[Kpurged 50 conversations with 50 messages …\r\27[K", 1, true),
          screen)
        assert.truthy(screen:find("\27%[Kpurged 60 conversations with 60 messages\r\n$"), screen)
        assert.falsy(screen_of({ "archive", "--idle-before", "1d" }, { TERM = "dumb" }):find("\27", 1, true))
      end)
    end)
  end
end
