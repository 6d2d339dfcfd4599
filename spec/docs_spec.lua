-- The documents say all that there is, and the tools that look at them can fail.
local shell = require "spec.support.shell"
local markdown = dofile("tools/docs/markdown.lua")
local meta = dofile("tools/docs/meta.lua")

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

local function read(path)
  return assert(shell.read(path), path)
end

describe("docs/errors.md", function()
  it("has each code of convstore.h, in the table and with causes and what to do", function()
    local text = read("docs/errors.md")
    local n = 0
    for status in read("csrc/convstore.h"):gmatch("CONVSTORE_E_([%u_]+) = ") do
      local code = status:lower()
      if code ~= "memory" then -- raises in Lua
        n = n + 1
        assert(text:find(("\n| [`%s`](#%s) |"):format(code, code), 1, true), code)
        local from = assert(text:find("\n## " .. code .. "\n", 1, true), code)
        local section = text:sub(from, (text:find("\n## ", from + 4, true)))
        assert(section:find("**Causes.**", 1, true), code)
        assert(section:find("**What to do.**", 1, true), code)
      end
    end
    assert.equal(14, n)
  end)
end)

describe("docs/reference.md", function()
  -- The functions that have a section: { NAME = its text }.
  local function sections()
    local found, lines = {}, nil
    for item in markdown.walk(read("docs/reference.md")) do
      local title = not item.fence and item.text:match("^###? (.*)$")
      if title then
        lines = {}
        for signature in title:gmatch("`([^`]+)`") do
          local name = signature:match("^[%l]+[.:][%w_]+"):gsub("^conv:", "conversation:")
          found[name] = lines
        end
      elseif lines then
        lines[#lines + 1] = item.text
      end
    end
    return found
  end

  it("has a section with an example for each function, and for no other", function()
    local functions, found = meta.read("docs/meta").functions, sections()
    for name in pairs(functions) do
      assert(found[name], name .. " is missing in docs/reference.md")
      assert(table.concat(found[name], "\n"):find("```lua\n.-\n```"), name .. " has no example")
    end
    for name in pairs(found) do
      assert(functions[name] or name == "convstore._VERSION", name .. " is no function")
    end
  end)

  it("has each option of open", function()
    local text = table.concat(sections()["convstore.open"], "\n")
    for option in pairs(meta.fields(meta.read("docs/meta"), "OpenOptions")) do
      assert(text:find("\n| `" .. option .. "` |", 1, true), option)
    end
  end)
end)

describe("docs/c.md", function()
  it("names each function of convstore.h, and no other", function()
    local declared, named = {}, {}
    local header = read("csrc/convstore.h"):gsub("/%*.-%*/", "")
    for name in header:gmatch("CONVSTORE_API [^;{#]-(convstore_[%l_%d]+)%(") do
      declared[#declared + 1] = name
    end
    for row in read("docs/c.md"):gmatch("\n|[^\n]*") do
      for name in row:gmatch("`(convstore_[%l_%d]+)`") do
        named[#named + 1] = name
      end
    end
    table.sort(declared)
    table.sort(named)
    assert(#declared > 10)
    assert.same(declared, named)
  end)
end)

describe("docs/architecture.md", function()
  it("names files that there are", function()
    local there, n = "\n", 0
    for path in io.popen("find csrc lua tools spec -type f"):lines() do
      there = there .. "/" .. path .. "\n"
    end
    for name in read("docs/architecture.md"):gmatch("`([%w_/]+%.%l+)`") do
      n = n + 1
      assert(there:find("/" .. name .. "\n", 1, true), name)
    end
    assert(n > 30)
  end)
end)

describe("README", function()
  it("names specs that there are", function()
    local n = 0
    for name in read("README.md"):gmatch("`([%w_]+_spec)`") do
      n = n + 1
      assert(shell.exists("spec/" .. name .. ".lua"), name)
    end
    assert(n > 10)
  end)

  it("names targets of make that there are", function()
    local makefile, n = read("Makefile"), 0
    for name in read("README.md"):gmatch("`make ([%l-]+)[^`]*`") do
      n = n + 1
      assert(makefile:find("\n" .. name .. ":", 1, true), name)
    end
    assert(n > 5)
  end)
end)

describe("the tools for documents", function()
  local folder

  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)

  local function run(tool, text)
    local path = folder .. "/document.md"
    shell.write(path, text)
    return shell.run(("%s tools/docs/%s %s"):format(LUA, tool, shell.quote(path)))
  end

  local function assert_block_fails(text, complaint)
    local ok, output = run("run_blocks.lua", text)
    assert.is_false(ok)
    assert.truthy(output:find(complaint, 1, true), output)
    assert.truthy(output:find("1 failed", 1, true), output)
  end

  it("run a good block of each kind", function()
    local ok, output = run("run_blocks.lua", table.concat({
      "<!-- run: name=chat -->", "```lua", 'local convstore = require "convstore"',
      'local store <close> = assert(convstore.open "bot.db")',
      'local chat = assert(store:user "alice":conversation "a")', "```",
      "<!-- run: after=chat -->", "```lua", 'print(chat:append("user", "x").seq) --> 1', "```",
      "<!-- run: after=chat -->", "```sh", "convstore --dsn bot.db users | wc -l #> 2", "```",
      "<!-- run: sqlite, after=chat -->", "```sql", "SELECT key FROM convstore_conversations; --> a", "```",
      "<!-- run: sqlite, prepare, after=chat -->", "```sql",
      "SELECT key FROM convstore_conversations WHERE user_id = ?1;", "```",
      "```json", '{ "a": [1, null] }', "```",
      "```text", "whatever", "```",
      "<!-- skip: it would take a whole day -->", "```sh", "sleep 86400", "```" }, "\n"))
    assert(ok, output)
    assert.equal("code blocks: 2 lua, 1 sh, 2 sql, 1 json run, 1 only shown, 1 skipped, 0 failed",
      output:match("code blocks: [^\n]*"))
  end)

  it("fail on a block that raises, or does not compile", function()
    assert_block_fails("```lua\nerror('planted')\n```\n", "planted")
    assert_block_fails("```lua\nlocal = 5\n```\n", "<name> expected")
  end)

  it("fail on a call that failed, though the block drops its results", function()
    local open = 'local convstore = require "convstore"\nlocal store = assert(convstore.open ":memory:")\n'
    assert_block_fails("```lua\n" .. open .. 'store:user "a":get("no id")\n```\n', "does not name its code")
    local ok = run("run_blocks.lua", "```lua\n" .. open .. 'store:user "a":get("no id") -- "invalid"\n```\n')
    assert.is_true(ok)
  end)

  it("fail on another output than the block says", function()
    assert_block_fails("```lua\nprint(1 + 1) --> 3\n```\n", "it prints\n2")
    assert_block_fails("```sh\necho 2 #> 3\n```\n", "it prints\n2")
  end)

  it("fail on a command that fails in the middle of a script", function()
    assert_block_fails("```sh\nfalse\ntrue\n```\n", "it failed")
    assert_block_fails("```sh\nfalse | true\n```\n", "it failed")
    assert_block_fails("```sh\nsudo rm -rf bot.db\n```\n", "may only install packages")
  end)

  it("fail on SQL that the database refuses, prepared too", function()
    assert_block_fails("<!-- run: sqlite -->\n```sql\nSELECT FROM;\n```\n", "syntax error")
    assert_block_fails("<!-- run: sqlite, prepare -->\n```sql\nSELECT 1; SELECT x FROM t WHERE y = ?1;\n```",
      "no such table")
    assert_block_fails("```sql\nSELECT 1;\n```\n", "say which database")
  end)

  it("fail on C that does not compile, and on what is no JSON", function()
    assert_block_fails("```c\nint main(void) { return nothing; }\n```\n", "nothing")
    assert_block_fails("```json\n{ a: 1 }\n```\n", "Expected")
  end)

  it("fail on a block without a language, without a reason, or with one that is not true", function()
    assert_block_fails("```\nwhat\n```\n", "no language")
    assert_block_fails("<!-- skip: no -->\n```sh\ntrue\n```\n", "without a reason")
    assert_block_fails('<!-- skip: CI step "planted" runs it -->\n```sh\ntrue\n```\n', "no step")
    assert_block_fails("<!-- run: sqlight -->\n```sql\nSELECT 1;\n```\n", "what is not known")
  end)

  it("follow links: to files, folders and headings", function()
    shell.write(folder .. "/other.md", "# Other page\n" .. ("\n## A `code` heading, twice\n"):rep(2))
    -- From the project's root there is no link to a folder elsewhere, so the check runs in the folder itself.
    local function check(text)
      shell.write(folder .. "/document.md", text)
      local root = require("lfs").currentdir()
      local places = ("%s/tools/docs/?.lua;%s/tools/docs/site/?.lua;"):format(root, root)
      local set = ("'package.path = %q .. package.path'"):format(places)
      return shell.run(("cd %s && %s -e %s %s/tools/docs/links.lua document.md"):format(folder, LUA, set,
        root))
    end
    local ok, output = check("# Here\n[a](other.md) [b](other.md#a-code-heading-twice-1) [c](#here)\n" ..
      "[d](https://example.org/x)\n")
    assert(ok, output)
    for link, complaint in pairs({ ["nowhere.md"] = "leads nowhere", ["../other.md"] = "leads nowhere",
      ["other.md#nothing"] = "anchor", ["#nothing"] = "anchor", ["http://example.org"] = "https",
      ["https:/x"] = "https" }) do
      ok, output = check(("# Here\nSee [this](%s).\n"):format(link))
      assert.is_false(ok, link)
      assert.truthy(output:find(complaint, 1, true), output)
      assert.truthy(output:find("document.md:2: " .. link, 1, true), output)
    end
    assert.is_true((check("# Here\n`[no](link.md)`\n\n```text\n[no](link.md)\n```\n")))
  end)
end)
