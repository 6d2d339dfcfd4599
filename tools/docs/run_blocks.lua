--- Runs the code blocks of documents: lua5.4 tools/docs/run_blocks.lua [--list] FILE.md...
-- Run from the project's root, with the library built and LUA_PATH, LUA_CPATH leading to it (make does that).
--
-- What a block is follows from its language, and from an HTML comment on the line above it:
--   lua      runs with lua5.4. It fails by an error, or where a call of convstore fails whose code (such as "conflict")
--            the block does not name. Where it has comments "--> TEXT", these are what it prints, line for line.
--   sh       runs with bash -eu -o pipefail; "convstore" is the command, "sudo apt-get install" only simulates. Lines
--            "#> TEXT" are what it prints.
--   sql      runs with sqlite3 or psql, whichever the comment names.
--   c        is compiled against the library without a warning, and run.
--   json     must be JSON.
--   text, ini  are shown and nothing else. A block without a language, or in another one, is a mistake.
-- Comments, whose parts are separated by commas:
--   <!-- run: name=chat -->      gives the block a name in this document;
--   <!-- run: after=chat -->     the named lua block (and those that it is after) comes first, in the same folder;
--   <!-- run: prelude=model -->  loads tools/docs/prelude_model.lua before a lua block: what readers have themselves;
--   <!-- run: sqlite -->, <!-- run: postgres -->   for sql. A postgres block, of any language, gets an empty database
--            on the server of CONVSTORE_TEST_POSTGRES_URL; its DSN is "postgres:service=bot";
--   <!-- run: prepare -->        the sql has parameters (?1, $1): its statements are prepared, not run;
--   <!-- skip: REASON -->        not run. A reason that says: CI step "TITLE" must name a step of .ci/run;
--   <!-- default: after=chat --> on a line of its own, once: for all lua blocks of this document without a comment.
-- Each block has a fresh folder, an environment with nothing of the caller's but what it needs, and 60 seconds.
-- Prints how many blocks ran, by language, and how many were skipped, why; ends with 1 where one failed.

package.path = "./?.lua;tools/docs/?.lua;" .. package.path
local lfs = require "lfs"
local cjson = require "cjson"
local shell = require "spec.support.shell"
local markdown = require "markdown"

local LANGUAGES = { lua = true, sh = true, sql = true, c = true, json = true }
local SHOWN = { text = true, ini = true }
local COMMENT_WORDS = { name = true, after = true, prelude = true, sqlite = true, postgres = true,
  prepare = true }

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"
local root = lfs.currentdir()
local postgres_url = os.getenv("CONVSTORE_TEST_POSTGRES_URL")
local quote = shell.quote

-- The parts of a comment: skip= its reason, or name=, after=, prelude= and the other words.
local function read_comment(comment)
  local options = {}
  options.skip = comment and comment:match("^skip:%s*(.*)$")
  for part in (comment and comment:match("^run:%s*(.*)$") or ""):gmatch("[^,]+") do
    local key, value = part:match("^%s*([%w_]+)=?([%w_]*)%s*$")
    assert(COMMENT_WORDS[key], "the comment says what is not known: " .. part)
    options[key] = value ~= "" and value or true
  end
  return options
end

local function ci_has_step(title)
  return shell.read(".ci/run"):find('step "' .. title .. '"', 1, true) ~= nil
end

-- The statements of a script, for blocks that are only prepared.
local function statements(sql)
  local list = {}
  for statement in sql:gsub("%-%-[^\n]*", ""):gmatch("[^;]+") do
    if statement:find("%S") then
      list[#list + 1] = statement:match("^%s*(.-)%s*$")
    end
  end
  return list
end

-- What a block says that it prints, or nil.
local function expected_output(block, mark)
  local expected = {}
  for line in block.text:gmatch("[^\n]+") do
    expected[#expected + 1] = line:match(mark .. "> ?(.*)$")
  end
  return expected[1] and table.concat(expected, "\n") .. "\n"
end

local function environment(folder, options)
  local env = {
    PATH = folder .. "/.bin:" .. os.getenv("PATH"), HOME = folder, LANG = "C.UTF-8", TERM = "dumb",
    LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH"),
    CONVSTORE_EXAMPLE = folder .. "/.example",
  }
  if options.postgres then
    env.PGSERVICEFILE = folder .. "/.pg_service.conf"
  end
  local words = {}
  for name, value in pairs(env) do
    words[#words + 1] = name .. "=" .. quote(value)
  end
  return "env -i " .. table.concat(words, " ")
end

local function executable(path, text)
  shell.write(path, text)
  assert(shell.run("chmod +x " .. quote(path)))
end

local SUDO = [[
#!/bin/sh
if [ "$1" = apt-get ]; then
  shift
  command -v apt-get >/dev/null || exit 0 # not on Debian: there is nobody to ask
  exec apt-get --simulate "$@" >/dev/null
fi
echo "sudo: an example may only install packages" >&2
exit 1
]]

local database_number = 0

-- A folder in which a block can run, and what to do afterwards.
local function prepare_folder(options)
  local folder = shell.folder()
  assert(lfs.mkdir(folder .. "/.bin"))
  executable(folder .. "/.bin/convstore",
    "#!/bin/sh\nexec " .. LUA .. " " .. quote(root) .. '/tools/convstore "$@"\n')
  executable(folder .. "/.bin/sudo", SUDO)
  local clean = function() shell.remove(folder) end
  if options.postgres then
    database_number = database_number + 1
    local name = ("docs_%d_%s"):format(database_number, folder:sub(-12))
    local host, port = postgres_url:match("@([^:/]+):(%d+)/")
    local admin = "psql -X -q -v ON_ERROR_STOP=1 -d " .. quote(postgres_url) .. " -c "
    local made, output = shell.run(admin .. quote("CREATE DATABASE " .. name))
    assert(made, output)
    shell.write(folder .. "/.pg_service.conf",
      ("[bot]\nhost=%s\nport=%s\nuser=postgres\ndbname=%s\n"):format(host, port, name))
    clean = function()
      shell.run(admin .. quote("DROP DATABASE " .. name .. " WITH (FORCE)"))
      shell.remove(folder)
    end
  end
  return folder, clean
end

local runners = {}

-- The text of a named block behind those that it is after.
local function chain(document, name, seen)
  local block = assert(document.named[name], "there is no block named " .. name)
  assert(not seen[name], "blocks come after each other in a circle")
  seen[name] = true
  local before = block.options.after and chain(document, block.options.after, seen) or ""
  return before .. block.text
end

-- As one program: what comes first runs with its output thrown away.
function runners.lua(block, document, folder)
  local before = block.options.after and chain(document, block.options.after, {}) or ""
  shell.write(folder .. "/.example", before .. block.text)
  local quiet = before == "" and "" or
    ("local print = function() end\n%slocal print = _G.print\n"):format(before)
  shell.write(folder .. "/example.lua", quiet .. block.text)
  local load = ('package.path = "%s/tools/docs/?.lua;" .. package.path; require "strict"'):format(root)
  if block.options.prelude then
    load = load .. ('; require "prelude_%s"'):format(block.options.prelude)
  end
  return ("%s -e %s example.lua"):format(LUA, quote(load)), "%-%-"
end

-- For what is no Lua: the words that run the lua block that comes first.
local function run_before(block, document, folder)
  if not block.options.after then
    return ""
  end
  shell.write(folder .. "/before.lua", chain(document, block.options.after, {}))
  return LUA .. " before.lua >.before && "
end

function runners.sh(block, document, folder)
  shell.write(folder .. "/example.sh", block.text)
  return run_before(block, document, folder) .. "bash -eu -o pipefail example.sh", "#"
end

function runners.sql(block, document, folder)
  assert(block.options.sqlite or block.options.postgres, "say which database: sqlite or postgres")
  local sqlite, script = block.options.sqlite, block.text
  if block.options.prepare then
    local list = statements(script)
    for i, statement in ipairs(list) do
      list[i] = (sqlite and "EXPLAIN " or ("PREPARE s%d AS "):format(i)) .. statement .. ";"
    end
    script = table.concat(list, "\n")
  end
  shell.write(folder .. "/example.sql", script .. "\n")
  return run_before(block, document, folder) .. (sqlite and "sqlite3 -batch -bail bot.db <example.sql" or
    "psql -X -q -v ON_ERROR_STOP=1 -d service=bot -f example.sql"), "%-%-"
end

function runners.c(block, _, folder)
  shell.write(folder .. "/example.c", block.text)
  return ("cc -std=c11 -Wall -Wextra -Werror -o example -I %s example.c %s %s -lm && ./example"):format(
    quote(root .. "/csrc"), quote(root .. "/build/libconvstore.a"),
    "$(pkg-config --libs sqlite3 jansson libpq libutf8proc)"), "//"
end

-- Runs a block; nil, or what went wrong.
local function run(block, document)
  if block.language == "json" then
    local ok, problem = pcall(cjson.decode, block.text)
    return not ok and tostring(problem) or nil
  end
  local folder, clean = prepare_folder(block.options)
  local command, mark = runners[block.language](block, document, folder)
  shell.write(folder .. "/.run", command)
  local ok, output = shell.run(("cd %s && %s timeout -k 5 60 sh .run 2>.errors </dev/null"):format(
    quote(folder), environment(folder, block.options)))
  local errors = shell.read(folder .. "/.errors") or ""
  clean()
  if not ok then
    return "it failed: " .. output .. errors
  end
  local expected = expected_output(block, mark)
  if expected and expected ~= output then
    return ("it prints\n%s, not\n%s"):format(output, expected)
  end
  return nil
end

-- ---- the documents --------------------------------------------------------------------------------------------------

local ran, shown, skipped, failed = {}, 0, {}, 0

local function fail(path, block, ...)
  failed = failed + 1
  io.stderr:write(("%s:%d: "):format(path, block.line), string.format(...), "\n")
end

local function judge(path, block, document)
  if block.problem then
    fail(path, block, "%s", block.problem)
  elseif SHOWN[block.language] then
    shown = shown + 1
  elseif not LANGUAGES[block.language] then
    fail(path, block, "a block of %s; say lua, sh, sql, c, json, text or ini",
      block.language == "" and "no language" or block.language)
  elseif block.options.skip then
    local missing
    for step in block.options.skip:gmatch('CI step "([^"]*)"') do
      missing = not ci_has_step(step) and step or missing
    end
    if #block.options.skip < 10 then
      fail(path, block, "it is skipped without a reason")
    elseif missing then
      fail(path, block, ".ci/run has no step \"%s\"", missing)
    else
      skipped[#skipped + 1] = ("%s:%d (%s): %s"):format(path, block.line, block.language, block.options.skip)
    end
  elseif block.options.postgres and not postgres_url then
    assert(os.getenv("CI") ~= "true", "no PostgreSQL server: CONVSTORE_TEST_POSTGRES_URL is not set")
    skipped[#skipped + 1] = ("%s:%d (%s): no PostgreSQL server"):format(path, block.line, block.language)
  else
    local ok, problem = pcall(run, block, document)
    problem = not ok and tostring(problem) or problem
    ran[block.language] = (ran[block.language] or 0) + 1
    if problem then
      fail(path, block, "%s", problem)
    end
  end
end

local function run_document(path)
  local blocks, default = markdown.blocks(assert(shell.read(path), path .. " cannot be read"))
  local document = { named = {} }
  for _, block in ipairs(blocks) do
    local comment = block.comment or ""
    local own = (comment:find("^run:") or comment:find("^skip:")) and comment
    local usual = default and block.language == "lua" and "run: " .. default or nil
    local ok, options = pcall(read_comment, own or usual)
    block.options = ok and options or {}
    block.problem = not ok and options or nil
    if block.options.name then
      document.named[block.options.name] = block
    end
  end
  for _, block in ipairs(blocks) do
    judge(path, block, document)
  end
end

for _, path in ipairs(arg) do
  run_document(path)
end

local words = {}
for _, language in ipairs({ "lua", "sh", "sql", "c", "json" }) do
  words[#words + 1] = ran[language] and ("%d %s"):format(ran[language], language)
end
for _, line in ipairs(skipped) do
  print("skipped " .. line)
end
print(("code blocks: %s run, %d only shown, %d skipped, %d failed"):format(
  words[1] and table.concat(words, ", ") or "none", shown, #skipped, failed))
os.exit(failed == 0)
