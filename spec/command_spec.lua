-- What each of the command's commands does, as a process, on each database that a second process can see.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local cjson = require "cjson"
local command = require "spec.support.command"
local convstore = require "convstore"
local json_text = require "spec.support.json_text"
local psql = require "spec.support.postgres"
local shell = require "spec.support.shell"

local LATER = "2999-01-01" -- what is there now is older

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the command on " .. backend.name .. " " .. backend.tags, function()
      local store, database

      before_each(function()
        store, database = backend.fresh()
      end)
      after_each(backends.clean)

      -- Runs it on the database; its exit status, output and standard error.
      local function run(arguments, env)
        local all = { CONVSTORE_DSN = database.dsn }
        for name, value in pairs(env or {}) do
          all[name] = value
        end
        return command.run(arguments, all)
      end

      -- Runs it to a good end that leaves nothing to say; what it printed.
      local function good(arguments, env)
        local status, output, said = run(arguments, env)
        if status ~= 0 or said ~= "" then
          error(("%s: status %s, %s%s"):format(table.concat(arguments, " "), status, output, said), 2)
        end
        return output
      end

      -- The JSON values of its lines.
      local function lines(arguments)
        local values = {}
        for line in good(arguments):gmatch("[^\n]+") do
          values[#values + 1] = json_text(line)
        end
        return values
      end

      -- Refused or failed in one line, and nothing was printed.
      local function fails(pattern, arguments, env)
        local status, output, said = run(arguments, env)
        assert.equal(1, status, said)
        assert.equal("", output)
        assert.truthy(said:find(pattern, 1, true), said)
        assert.truthy(said:find("^convstore: [^\n]+\n$"), said)
      end

      local function has(output, text)
        if not output:find(text, 1, true) then
          error(("expected %q in:\n%s"):format(text, output), 2)
        end
      end

      -- n conversations of a user, with a message each, that are deleted.
      local function deleted(user, n)
        for i = 1, n do
          local conversation = assert(store:user(user):create())
          assert(conversation:append("user", "number " .. i))
          assert(conversation:delete())
        end
      end

      it("lists users, as text and as JSON", function()
        assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
        assert(store:user("bob\n"):create())
        local output = good({ "users" })
        assert.truthy(output:find("UPDATED +CONVERSATIONS +MESSAGES +USER\n"), output)
        assert.truthy(output:find("20%d%d%-%d%d%-%d%d %d%d:%d%d +1 +1  alice\n"), output)
        assert.truthy(output:find(" 1 +0  bob\n"), output)
        local users = lines({ "users", "--json" })
        assert.equal(2, #users)
        assert.equal("alice", users[1].user_id)
        assert.equal(1, users[1].messages)
        assert.equal(1, #lines({ "users", "--json", "--limit", "1" }))
      end)

      it("lists conversations by pages, by their state, and in both orders", function()
        local user = store:user("alice")
        for i = 1, 25 do
          local fields = { key = "key" .. i, title = "title " .. i, created_at = 1000000 - i }
          fields.status = i == 3 and "closed" or nil
          assert(user:create(fields))
        end
        assert(assert(user:get(assert(user:list({ limit = 1 }))[1].id)):delete())
        assert.equal(20, #lines({ "--user", "alice", "list", "--json" }))
        assert.equal(24, #lines({ "--user", "alice", "list", "--json", "--all" }))
        assert.equal(24, #lines({ "--user", "alice", "list", "--json", "--limit", "2000" }))
        assert.equal("key3", lines({ "--user", "alice", "list", "--json", "--status", "closed" })[1].key)
        assert.equal("key25", lines({ "--user", "alice", "list", "--json", "--deleted" })[1].key)
        assert.equal("key1", lines({ "--user", "alice", "list", "--json", "--order", "created" })[1].key)
        local output = good({ "--user", "alice", "list", "--all" })
        has(output, "[closed] title 3\n")
        assert.truthy(output:find(" 0  key24 +title 24\n"), output)
        assert.equal(25, select(2, output:gsub("\n", "\n")))
      end)

      it("says that a user has nothing, and goes on as that is no failure", function()
        local status, output, said = run({ "--user", "nobody", "list" })
        assert.equal(0, status)
        assert.equal("", output)
        assert.equal("convstore: user nobody has no conversations\n", said)
        assert.equal("", good({ "--user", "nobody", "list", "--json" }))
        assert.equal("", good({ "--user", "nobody", "search", "--json", "x" }))
      end)

      it("shows a conversation by its key or id, message after message", function()
        local chat = assert(store:user("alice"):conversation("telegram:1", { title = "My printer" }))
        assert(chat:append("user", "It beeps.\nWhy?", { name = "ann", created_at = 86400000 }))
        assert(chat:append({ role = "assistant", tool_calls = {
          { id = "c1", type = "function", ["function"] = { name = "manual", arguments = '{"page":3}' } },
        } }))
        assert(chat:append("tool", "Page 3", { tool_call_id = "c1" }))
        assert(chat:append({
          role = "user", content = {
            { type = "text", text = "Look:" },
            { type = "image_url", image_url = { url = "https://x.org/a.png" } },
            { type = "other", n = 12345678901234567 },
          },
          attachments = { { name = "a.pdf", size = 12 } },
        }))
        assert(chat:redact(1) and chat:append("user", "bye"))
        local output = good({ "--user", "alice", "show", "telegram:1", "--utc" })
        assert.equal(output, good({ "--user", "alice", "show", chat.id:upper(), "--utc" }))
        has(output, "conversation " .. chat.id .. "\n")
        has(output, "title        My printer\n")
        has(output, "\n#1 user  1970-01-02 00:00:00 UTC\n    [redacted 20")
        has(output, "\n    [call c1: manual {\"page\":3}]\n")
        assert.truthy(output:find("\n#3 tool answers c1  [^\n]+ UTC\n    Page 3\n"), output)
        has(output, "    Look:\n    [image: https://x.org/a.png]\n" ..
          '    [part: {"n":12345678901234567,"type":"other"}]\n    [attachment: a.pdf, 12 bytes]\n')
      end)

      it("shows content that cannot steer a terminal", function()
        local chat = assert(store:user("a"):conversation("k", { title = "t\27]0;x\7" }))
        assert(chat:append("user", "a\27[31mb\u{9b}31m\rc\td\nline 2"))
        local output = good({ "--user", "a", "show", "k" }) .. good({ "--user", "a", "list" })
        assert.falsy(output:find("[%z\1-\8\11-\31\127]"))
        has(output, "    a\\x1b[31mb\\x9b31m\\x0dc\td\n    line 2\n")
        assert.falsy(good({ "--user", "a", "show", "k", "--json" }):find("[\27\r]"))
      end)

      it("shows a range of messages and chosen roles", function()
        local chat = assert(store:user("a"):conversation("k"))
        for i = 1, 10 do
          assert(chat:append(i % 2 == 0 and "assistant" or "user", "message " .. i))
        end
        local function seqs(...)
          local list = {}
          for i, message in ipairs(lines({ "--user", "a", "show", "k", "--json", ... })) do
            list[i] = message.seq
          end
          return table.concat(list, " ")
        end
        assert.equal("1 2 3 4 5 6 7 8 9 10", seqs())
        assert.equal("8 9 10", seqs("--limit", "3"))
        assert.equal("3 4", seqs("--after", "2", "--limit", "2"))
        assert.equal("3 4", seqs("--after", "2", "--before", "5"))
        assert.equal("2 4 6 8 10", seqs("--role", "assistant"))
        assert.equal("9 10", seqs("--role", "assistant,user", "--after", "8"))
      end)

      it("prints JSON that is the library's own tables", function()
        local metadata = { a = {}, b = convstore.array({}) }
        local chat = assert(store:user("a"):conversation("k", { metadata = metadata }))
        local message = assert(chat:append({
          role = "user", content = "\1\127\u{9b}\"\\/\u{1F600}é",
          metadata = {
            big = math.maxinteger, float = 0.1, whole = 5.0, null = convstore.null, tiny = 1e-300,
          },
        }))
        local output = good({ "--user", "a", "show", "k", "--json" })
        assert.same(message.content, cjson.decode(output).content)
        has(output, '"big":9223372036854775807')
        has(output, '"metadata":{"big":9223372036854775807,"float":0.1,"null":null,"tiny":1e-300,"whole":5')
        local listed = good({ "--user", "a", "list", "--json" })
        has(listed, '"metadata":{"a":{},"b":[]}')
        check.same_json(cjson.decode(listed).id, chat.id)
      end)

      it("does not find what is not there, and makes nothing of it", function()
        fails('no conversation with the key "nope"', { "--user", "a", "show", "nope" })
        fails("not_found: ", { "--user", "a", "show", convstore.uuid() })
        assert.equal(0, database:count("conversations"))
      end)

      it("searches, with the words that were found", function()
        local chat = assert(store:user("a"):conversation("k", { title = "My printer" }))
        assert(chat:append("user", "It <beeps> & stops"))
        assert(chat:append("assistant", "Beeps?"))
        local output = good({ "--user", "a", "search", "beeps", "stops", "--utc" })
        has(output, chat.id .. " #1  user  20")
        has(output, "    My printer\n    It <beeps> & stops\n")
        local hits = lines({ "--user", "a", "search", "beeps", "--json", "--role", "assistant" })
        assert.equal(1, #hits)
        assert.equal(2, hits[1].message.seq)
        assert.equal("", good({ "--user", "a", "search", "beeps", "--json", "--before", "2020-01-01" }))
        assert.equal(1, #lines({ "--user", "a", "search", "--json", "--since=1h", "--limit=1", "beeps" }))
        assert.equal(1, #lines({ "--user", "a", "search", "--json", "--", "-stops", "beeps" }))
        local status, nothing, said = run({ "--user", "a", "search", "absent" })
        assert.same({ 0, "", "convstore: nothing was found\n" }, { status, nothing, said })
      end)

      it("shows times in the local zone, and with --utc in UTC", function()
        local chat = assert(store:user("a"):conversation("k", { created_at = 1769860800000 }))
        assert(chat:append("user", "x", { created_at = 1769860800000 }))
        local show = { "--user", "a", "show", "k" }
        has(good(show, { TZ = "XXX-05:30" }), "#1 user  2026-01-31 17:30:00 +0530\n")
        has(good(show, { TZ = "XXX+3" }), "#1 user  2026-01-31 09:00:00 -0300\n")
        show[#show + 1] = "--utc"
        has(good(show, { TZ = "XXX-05:30" }), "#1 user  2026-01-31 12:00:00 UTC\n")
      end)

      it("reads times in the local zone, and with --utc in UTC", function()
        local chat = assert(store:user("a"):conversation("k"))
        assert(chat:append("user", "x", { created_at = 1769860800000 }))
        local function found(since, env, ...)
          return good({ "--user", "a", "search", "x", "--json", "--since", since, ... }, env) ~= ""
        end
        assert.is_true(found("2026-01-31T17:30", { TZ = "XXX-05:30" }))
        assert.is_false(found("2026-01-31T17:30:00.001", { TZ = "XXX-05:30" }))
        assert.is_false(found("2026-01-31T17:30", { TZ = "XXX-05:30" }, "--utc"))
        assert.is_true(found("2026-01-31T12:00", { TZ = "XXX-05:30" }, "--utc"))
        assert.is_true(found("2026-01-31T13:00:00+01:00", { TZ = "XXX-05:30" }))
        assert.is_false(found("2026-01-31T12:00:00.5Z", { TZ = "XXX-05:30" }))
      end)

      it("says what there is", function()
        assert(assert(store:user("a"):conversation("k")):append("user", "x"))
        local stats = cjson.decode(good({ "stats", "--json" }))
        assert.equal(1, stats.users)
        assert.equal(1, stats.messages)
        has(good({ "stats" }), "messages        1, 0 of them archived\n")
      end)

      it("finds that all is well, or what is wrong, with status 1", function()
        local chat = assert(store:user("a"):conversation("k"))
        assert(chat:append("user", "x"))
        assert.equal("all is well\n", good({ "check" }))
        assert.equal("[]\n", good({ "check", "--json" }))
        database:sql("UPDATE " .. database:table("conversations") .. " SET last_seq = 7;")
        local status, output, said = run({ "check" })
        assert.equal(1, status)
        has(output, chat.id)
        assert.truthy(said:find("^convstore: %d+ problems? found\n$"), said)
        status, output = run({ "check", "--json" })
        assert.equal(1, status)
        assert.equal(chat.id, cjson.decode(output)[1].conversation_id)
      end)

      it("purges what was deleted or is idle, and nothing else", function()
        deleted("a", 3)
        deleted("b", 1)
        assert(assert(store:user("b"):conversation("k")):append("user", "x"))
        fails("give --yes", { "purge", "--deleted-before", "0s" })
        assert.equal(5, database:count("conversations"))
        assert.equal('{"conversations":1,"messages":1}\n',
          good({ "purge", "--deleted-before", LATER, "--limit", "1", "--yes", "--json" }))
        assert.equal("purged 3 conversations with 3 messages\n",
          good({ "purge", "--deleted-before", LATER, "--yes" }))
        assert.equal("purged 0 conversations with 0 messages\n",
          good({ "purge", "--deleted-before", LATER, "--idle-before", "1d", "--yes" }))
        assert.equal("purged 1 conversation with 1 message\n",
          good({ "purge", "--idle-before", LATER, "--yes" }))
        assert.equal(0, database:count("conversations"))
      end)

      it("purges and archives more than one part", function()
        deleted("a", 60)
        for i = 1, 60 do
          assert(assert(store:user("a"):conversation("k" .. i)):append("user", "x"))
        end
        assert.equal("archived 55 conversations with 55 messages\n",
          good({ "archive", "--idle-before", LATER, "--limit", "55" }))
        assert.equal("archived 5 conversations with 5 messages\n",
          good({ "archive", "--idle-before", LATER }))
        assert.equal(60, assert(store:stats()).archived_messages)
        assert.equal("purged 60 conversations with 60 messages\n",
          good({ "purge", "--deleted-before", LATER, "--yes" }))
        assert.equal(60, database:count("conversations"))
      end)

      it("erases a user, and only that one", function()
        deleted("a", 1)
        assert(assert(store:user("a"):conversation("k")):append("user", "x"))
        assert(assert(store:user("b"):conversation("k")):append("user", "x"))
        fails("everything of user a", { "--user", "a", "erase" })
        assert.equal("erased 2 conversations with 2 messages\n", good({ "--user", "a", "erase", "--yes" }))
        assert.equal('{"conversations":0,"messages":0}\n',
          good({ "--user", "a", "erase", "--yes", "--json" }))
        assert.equal(1, #assert(store:user("b"):list()))
      end)

      it("migrates down and up, shows where it is, and what it would run", function()
        local _, newest = store:schema_version()
        store:close()
        local status = good({ "migrate", "status", "--utc" })
        assert.truthy(status:find("\n +1  init +20%d%d%-[^\n]+ UTC\n"), status)
        fails("give --yes", { "migrate", "down" })
        assert.equal(("migrated the schema from version %d to %d\n"):format(newest, newest - 1),
          good({ "migrate", "down", "--yes" }))
        fails("schema: ", { "users" })
        fails("schema: ", { "--user", "a", "list" })
        assert.truthy(good({ "migrate", "status" }):find("\n +" .. newest .. "  [%w_]+ +pending\n"))
        local sql = cjson.decode(good({ "migrate", "sql", "--json" }))
        assert.same({ 1, newest, "up" }, { #sql, sql[1].version, sql[1].direction })
        has(good({ "migrate", "sql" }), "-- up: " .. newest .. " ")
        has(good({ "migrate", "sql", "--to", "0" }), "-- down: 1 init\n")
        assert.equal(newest - 1, cjson.decode(good({ "migrate", "status", "--json" })).version)
        fails("goes back", { "migrate", "up", "--to", "1" })
        fails("update convstore", { "migrate", "sql", "--to", newest + 1 })
        fails("is not below", { "migrate", "down", "--to", newest, "--yes" })
        assert.same({ before = newest - 1, version = newest }, cjson.decode(good({ "migrate", "--json" })))
        assert.equal(("the schema is at version %d already\n"):format(newest), good({ "migrate", "up" }))
        assert.equal(("migrated the schema from version %d to 0\n"):format(newest),
          good({ "migrate", "down", "--to", "0", "--yes" }))
        fails("there is no schema", { "migrate", "down", "--yes" })
        fails("schema: ", { "stats" })
      end)

      it("changes nothing in a database that a newer convstore made", function()
        database:sql(("UPDATE %s SET version = version + 1000, name = 'later' WHERE version = 1;"):format(
          database:table("migrations")))
        local before = database:dump()
        for _, line in ipairs({ { "users" }, { "migrate" }, { "--user", "a", "list" },
          { "purge", "--idle-before", "1s", "--yes" }, { "archive", "--idle-before", "1s" } }) do
          fails("schema: ", line)
        end
        for _, form in ipairs({ "--json", "--utc" }) do
          fails("update convstore", { "migrate", "sql", form })
        end
        assert.equal(before, database:dump())
      end)

      it("copies the database, or says what does", function()
        assert(assert(store:user("a"):conversation("k")):append("user", "x"))
        local path = database.folder .. "/copy.db"
        if backend.name ~= "sqlite" then
          fails("pg_dump", { "backup", path })
          return
        end
        has(good({ "backup", path }), "copied to " .. path)
        local copied = good({ "list", "--user", "a", "--json" }, { CONVSTORE_DSN = path })
        assert.equal("k", cjson.decode(copied).key)
        fails("convstore: ", { "backup", database.folder .. "/absent/copy.db" })
        assert.is_false(shell.exists(database.folder .. "/absent"))
      end)

      it("ends quietly where its reader has gone", function()
        local chat = assert(store:user("a"):conversation("k"))
        for _ = 1, 50 do
          assert(chat:append("user", ("x"):rep(5000)))
        end
        local env = { CONVSTORE_DSN = database.dsn }
        local _, output, said = command.run({ "--user", "a", "show", "k" }, env, "%s | head -n 1")
        assert.equal("conversation " .. chat.id .. "\n", output)
        assert.equal("", said)
        -- Where a parent ignores the signal, as some do, writing fails instead.
        _, output, said = command.run({ "--user", "a", "show", "k" }, env, "trap '' PIPE; %s | head -n 1")
        assert.equal("conversation " .. chat.id .. "\n", output)
        assert.equal("", said)
      end)

      it("lists no key that show would take for an id", function()
        local user = store:user("a")
        local other = assert(user:create({ title = "the other" }))
        local keyed = assert(user:conversation(other.id, { title = "with a key" }))
        local output = good({ "--user", "a", "list" })
        has(output, keyed.id .. "  with a key")
        has(output, other.id .. "  the other")
        has(good({ "--user", "a", "show", keyed.id }), "with a key")
        assert(other:purge())
        has(good({ "--user", "a", "show", other.id }), "with a key") -- by the key that is left
      end)

      it("fails where its output cannot be kept", function()
        assert(store:user("a"):create())
        local env = { CONVSTORE_DSN = database.dsn }
        local status, _, said = command.run({ "--user", "a", "list" }, env, "%s >/dev/full")
        assert.equal(1, status)
        assert.truthy(said:find("cannot be written", 1, true), said)
      end)
    end)
  end
end

describe("the command on PostgreSQL #postgres", function()
  after_each(backends.clean)

  it("takes another schema's name, and roles", function()
    if not backends.postgres or not psql.is_there() then
      return pending("no PostgreSQL here")
    end
    local database = backends.postgres.place()
    local env = { CONVSTORE_DSN = database.dsn }
    assert.equal(0, (command.run({ "migrate", "--schema", "elsewhere" }, env)))
    assert.equal(0, (command.run({ "users", "--schema", "elsewhere" }, env)))
    assert.equal(1, (command.run({ "users" }, env)))
    assert.equal(0, (command.run({ "list", "--user=a", "--schema=elsewhere", "--database-role=" }, env)))
    local status, _, said = command.run({ "users", "--schema=elsewhere", "--operator-role=absent" }, env)
    assert.equal(1, status)
    assert.truthy(said:find("denied: ", 1, true), said)
  end)
end)
