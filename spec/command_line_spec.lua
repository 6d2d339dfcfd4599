-- The command's line, its help, and where its database comes from: what needs no server.
local backends = require "spec.support.backends"
local command = require "spec.support.command"
local convstore = require "convstore"
local program = require "convstore.command.commands"
local shell = require "spec.support.shell"

-- Refused for the reason that `pattern` says, in one line, with this status.
local function refused(status, pattern, ...)
  local got, output, said = command.run(...)
  assert.equal("", output)
  assert.truthy(said:find(pattern, 1, true), said)
  assert.truthy(said:find("^convstore: [^\n]+\n$"), said)
  assert.equal(status, got)
  return said
end

describe("the command's line", function()
  after_each(backends.clean)

  it("is refused without a command", function()
    refused(2, "convstore --help", {})
  end)

  it("names the nearest command", function()
    refused(2, "unknown command serch, did you mean search?; see convstore --help", { "serch" })
    refused(2, "unknown command mig, did you mean migrate?", { "mig" })
    assert.falsy(refused(2, "unknown command frobnicate", { "frobnicate" }):find("did you mean", 1, true))
  end)

  it("names the nearest option, and where to read more", function()
    refused(2, "unknown option --limt, did you mean --limit?; see convstore list --help",
      { "list", "--limt", "3" })
    refused(2, "unknown option --jsn, did you mean --json?; see convstore --help", { "--jsn" })
    refused(2, "unknown option -x", { "list", "-x" })
  end)

  it("does not know an option of another command", function()
    refused(2, "unknown option --deleted", { "show", "--deleted" })
  end)

  it("wants a value where an option has one, and none elsewhere", function()
    refused(2, "option --limit needs a value: N", { "list", "--limit" })
    refused(2, "option --json takes no value", { "list", "--json=1" })
    refused(2, "option --limit is given twice", { "list", "--limit", "1", "--limit=2" })
  end)

  it("refuses values that mean nothing", function()
    for option, value in pairs({ limit = "0", order = "name", status = "open" }) do
      refused(2, "option --" .. option .. " must be",
        { "--dsn", "x", "--user", "a", "list", "--" .. option, value })
    end
    for _, value in ipairs({ "1969-12-31T00:00:00Z", "2026-02-29", "2026-13-01", "5", "30x", "-3d" }) do
      refused(2, "option --idle-before must be", { "--dsn", "x", "archive", "--idle-before", value })
    end
    refused(2, "must be among user", { "--dsn", "x", "--user", "a", "show", "k", "--role", "user,robot" })
    refused(2, "option --timeout must be", { "--dsn", "x", "stats", "--timeout", "soon" })
  end)

  it("wants the arguments that a command has, and no more", function()
    refused(2, "show needs CONVERSATION", { "--dsn", "x", "--user", "a", "show" })
    refused(2, "stats takes no extra", { "--dsn", "x", "stats", "extra" })
    refused(2, "unknown action dwon, did you mean down?", { "--dsn", "x", "migrate", "dwon" })
    refused(2, "purge needs --deleted-before or --idle-before", { "--dsn", ":memory:", "purge" })
  end)

  it("wants a user where a command is about one, and refuses one elsewhere", function()
    refused(2, "list needs --user ID", { "--dsn", "x", "list" })
    refused(2, "purge is about all users",
      { "--dsn", "x", "--user", "a", "purge", "--idle-before", "1d", "--yes" })
    refused(2, "option --user: a user id has 1 to 255 bytes", { "--dsn", ":memory:", "--user", "", "list" })
  end)

  it("refuses options that would do nothing", function()
    local _, database = backends.sqlite.fresh()
    local env = { CONVSTORE_DSN = database.dsn }
    for _, option in ipairs({ "schema", "database-role", "operator-role" }) do
      refused(2, ("--%s is for PostgreSQL, and this is SQLite"):format(option),
        { "users", "--" .. option, "x" }, env)
    end
    refused(2, "--jwt-claim is for PostgreSQL", { "migrate", "--jwt-claim", "sub" }, env)
    refused(2, "--schema is for PostgreSQL", { "--dsn", ":memory:", "migrate", "--schema=x" }, env)
    refused(2, "migrate status takes no --to", { "migrate", "status", "--to", "1" }, env)
    refused(2, "migrate status takes no --users", { "migrate", "status", "--users", "a(b)" }, env)
    refused(2, "migrate down takes no --users", { "migrate", "down", "--users", "a(b)", "--yes" }, env)
    refused(2, "migrate up takes no --yes", { "migrate", "--yes" }, env)
  end)

  it("quotes values as they stand", function()
    local said = refused(2, 'must be a whole number above 0, not "\\x1bé \\"',
      { "--dsn", "x", "--user", "a", "list", "--limit", "\27é\n\\" })
    assert.falsy(said:find("\\27", 1, true), said)
  end)

  it("is refused without a database", function()
    refused(2, "Give --dsn DSN or set CONVSTORE_DSN", { "stats" })
    refused(2, "Give --dsn DSN or set CONVSTORE_DSN", { "stats" }, { CONVSTORE_DSN = "" })
  end)

  it("takes options before and behind the command, joined or not, and -- before words", function()
    local store, database = backends.sqlite.fresh()
    assert(store:user("-1001"):create({ title = "a group" }))
    for _, line in ipairs({
      { "--dsn", database.dsn, "--user", "-1001", "list" },
      { "list", "--user=-1001", "--dsn=" .. database.dsn },
      { "--user", "-1001", "--", "list" },
    }) do
      local status, output, said = command.run(line, { CONVSTORE_DSN = database.dsn })
      assert.equal("", said)
      assert.equal(0, status)
      assert.truthy(output:find("a group", 1, true))
    end
  end)
end)

describe("the command's help", function()
  it("names every command and option, within 80 columns", function()
    local status, all = command.run({ "--help" })
    assert.equal(0, status)
    for _, entry in ipairs(program.commands) do
      assert.truthy(all:find("\n  " .. entry.name .. " ", 1, true), entry.name)
      local own_status, own = command.run({ entry.name, "--help" })
      assert.equal(0, own_status)
      for _, option in ipairs(entry.options or {}) do
        assert.truthy(own:find("--" .. option.name, 1, true), option.name)
      end
      assert.equal(own, select(2, command.run({ entry.name, "-h", "--json" })))
      all = all .. own
    end
    for line in all:gmatch("[^\n]+") do
      assert.is_true(utf8.len(line) <= 80, line)
    end
  end)

  it("has examples that parse", function()
    local parse = require "convstore.command.parse"
    for _, entry in ipairs(program.commands) do
      assert.is_true(#entry.examples > 0, entry.name)
      for _, example in ipairs(entry.examples) do
        local words = {}
        for word in example:gsub("|.*", ""):gsub("'(.-)'", function(text)
          return (text:gsub(" ", "\1"))
        end):gmatch("%S+") do
          words[#words + 1] = (word:gsub("\1", " "))
        end
        table.remove(words, 1)
        assert.equal(entry, parse(program, words).command)
      end
    end
  end)

  it("says the version", function()
    for _, word in ipairs({ "--version", "version" }) do
      local status, output = command.run({ word })
      assert.equal(0, status)
      assert.equal(convstore._VERSION .. "\n", output)
    end
  end)

  it("is there by the word, too", function()
    local same = { [{ "--help" }] = { "help" }, [{ "list", "--help" }] = { "help", "list" } }
    for asked, by_word in pairs(same) do
      assert.equal(select(2, command.run(asked)), select(2, command.run(by_word)))
    end
    refused(2, "unknown command lst, did you mean list?", { "help", "lst" })
  end)
end)

describe("the command's database", function()
  after_each(backends.clean)

  it("is created by migrate alone", function()
    local database = backends.sqlite.place()
    for _, line in ipairs({
      { "users" }, { "--user", "a", "list" }, { "stats" }, { "check" },
      { "backup", database.folder .. "/copy.db" },
      { "--user", "a", "erase", "--yes" }, { "migrate", "status" }, { "migrate", "sql" },
      { "migrate", "down", "--yes" }, { "migrate", "--to", "0" }, { "purge", "--idle-before", "1d", "--yes" },
    }) do
      refused(1, "does not exist", line, { CONVSTORE_DSN = database.dsn })
      refused(1, "does not exist", line, { CONVSTORE_DSN = "sqlite:" .. database.dsn })
      assert.is_false(shell.exists(database.path))
    end
    assert.equal(0, (command.run({ "migrate" }, { CONVSTORE_DSN = database.dsn })))
    assert.is_true(shell.exists(database.path))
  end)

  it("that is none is left as it is", function()
    local database = backends.sqlite.place()
    shell.write(database.path, ("no database "):rep(100))
    refused(1, "corrupt: ", { "users" }, { CONVSTORE_DSN = database.dsn })
    refused(1, "corrupt: ", { "migrate" }, { CONVSTORE_DSN = database.dsn })
    assert.equal(("no database "):rep(100), shell.read(database.path))
  end)

  it("is a regular file, and nothing that would be waited for", function()
    local folder = backends.sqlite.place().folder
    assert(shell.run("mkfifo " .. shell.quote(folder .. "/pipe")))
    for _, path in ipairs({ folder .. "/pipe", "/dev/null" }) do
      for _, line in ipairs({ { "users" }, { "migrate" }, { "purge", "--idle-before", "1d", "--yes" } }) do
        refused(1, "is no regular file; give the path of a file", line, { CONVSTORE_DSN = path },
          "timeout 10 %s")
      end
    end
  end)

  it("is spoken of in the command's words", function()
    local database = backends.sqlite.place()
    local env = { CONVSTORE_DSN = database.dsn }
    assert.equal(0, (command.run({ "migrate", "--to", "2" }, env)))
    refused(1, "schema: the database has schema version 2 and", { "users" }, env)
    local said = refused(1, "is needed; run convstore migrate", { "users" }, env)
    assert.falsy(said:find("store:migrate", 1, true), said)
    assert.equal(0, (command.run({ "migrate" }, env)))
    local holder = database:hold()
    said = refused(1, "busy: ", { "--user", "a", "erase", "--yes", "--timeout", "0.1" }, env)
    holder:release()
    assert.truthy(said:find("try again, or give a longer --timeout", 1, true), said)
  end)

  it("of libpq's keywords is taken for no file", function()
    local status, output, said = command.run({ "--dsn", "dbname=x password=sesam", "migrate" })
    assert.equal(2, status)
    assert.equal("", output)
    assert.truthy(said:find('need "postgres:"', 1, true), said)
    assert.falsy(said:find("sesam", 1, true))
    assert.is_false(shell.exists("dbname=x password=sesam"))
  end)

  it("with a password on the command line is warned of, and the password never shown", function()
    for _, dsn in ipairs({
      "postgresql://u:se%20sam@localhost:1/x", "postgres:host=localhost port=1 password='se sam'",
      "postgres:host=localhost port=1 password=sesam x=y", "postgresql://u@localhost:1/x?password=sesam",
      "postgresql://u:sesam@@@/x", "mysql://u:sesam@h/x",
      "postgresql://localhost:1/x?user=u&p%61ssword=sesam", "POSTGRESQL://u:sesam@h/x",
    }) do
      local status, output, said = command.run({ "--dsn", dsn, "--timeout", "1", "stats" })
      assert.equal(1, status)
      assert.equal("", output)
      assert.truthy(said:find("CONVSTORE_DSN", 1, true), said)
      assert.falsy(said:find("sam", 1, true), said)
      said = select(3, command.run({ "stats", "--timeout", "1" }, { CONVSTORE_DSN = dsn }))
      assert.falsy(said:find("passfile", 1, true), said)
    end
    local said = refused(2, "unknown command", { "postgresql://u:sesam@h/x" })
    assert.falsy(said:find("sesam", 1, true))
  end)
end)

describe("the command's documents", function()
  -- What tools/command_docs.lua makes.
  local function made(...)
    local words = { "lua5.4", "tools/command_docs.lua", ... }
    local ok, output = shell.run(table.concat(words, " "))
    assert.is_true(ok, output)
    return output
  end

  it("are a manual page with every command and option", function()
    local page = made("man", "1.2.3")
    local plain = page:gsub("\\f.", ""):gsub("\\%-", "-")
    for _, entry in ipairs(program.commands) do
      assert.truthy(plain:find("\n.SS [^\n]*" .. entry.name), entry.name)
      for _, option in ipairs(entry.options or {}) do
        assert.truthy(plain:find("\n--" .. option.name, 1, true), option.name)
      end
    end
    assert.truthy(plain:find("convstore 1.2.3", 1, true))
  end)

  it("are a manual page that troff has nothing against", function()
    if not shell.run("command -v groff") then
      return pending("no groff here")
    end
    local ok, output = shell.run(
      "lua5.4 tools/command_docs.lua man 1 | groff -man -ww -Tascii 2>&1 >/dev/null")
    assert.is_true(ok)
    assert.equal("", output)
  end)

  it("are a completion that knows commands, options and their values", function()
    local path = os.tmpname()
    shell.write(path, made("bash") .. [[
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _convstore; echo "${COMPREPLY[*]}"; }
try convstore s
try convstore --dsn list --user show m
try convstore --user 42 list --status ''
try convstore list --st
try convstore migrate ''
try convstore list --limit ''
try convstore --dsn READ
try convstore backup LICE
]])
    local ok, output = shell.run("bash " .. path)
    os.remove(path)
    assert.is_true(ok, output)
    assert.equal("show search stats\nmigrate\nactive archived closed\n--status\n" ..
      "up down status sql\n\nREADME.md\nLICENSE\n", output)
  end)
end)
