-- docs/conversation-models.md says what the migrations and the statements say, and cannot drift from them: the parts
-- of it that are made from these are made anew here and compared. `make models` writes them instead.
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"
local shell = require "spec.support.shell"
local document = require "tools.models.document"
local sources = require "tools.models.sources"

local PATH = "docs/conversation-models.md"
local DIAGRAM, DRAWN = "docs/diagrams/schema.dot", "docs/diagrams/schema.svg"
local WRITE = os.getenv("CONVSTORE_MODELS") == "write"

local function described(differences)
  local lines = {}
  for i, one in ipairs(differences) do
    lines[i] = ("%s:%d: %s\n  is        %s\n  should be %s"):format(PATH, one.line, one.mark,
      one.was or "(nothing)", one.is or "(nothing)")
  end
  return table.concat(lines, "\n") .. (#lines > 0 and "\n(`make models` writes it anew)" or "")
end

describe("the schema's document #postgres #sqlite", function()
  local generators, diagram, tables

  if not postgres.is_there() or not backends.postgres then
    pending("needs PostgreSQL: see tools/with_postgres")
    return
  end

  setup(function()
    local store, file = backends.sqlite.fresh()
    local _, server = backends.postgres.fresh()
    generators, diagram, tables = sources.generators{
      store = store,
      sqlite = function(sql) return file:sql(sql) end,
      postgres = function(sql) return server:sql(sql) end,
      statements = assert(os.getenv("CONVSTORE_TEST_STATEMENTS"), "CONVSTORE_TEST_STATEMENTS is not set"),
    }
    -- Plans and rows are asked for while the databases are there.
    if WRITE then
      shell.write(PATH, (document.render(shell.read(PATH), generators)))
      shell.write(DIAGRAM, diagram)
    end
  end)
  teardown(backends.clean)

  it("has the fields, constraints, indexes, statements and plans that there are", function()
    local _, differences = document.render(shell.read(PATH), generators)
    assert.equal("", described(differences))
  end)

  it("tells every table's fields and constraints", function()
    local marks = document.marks(shell.read(PATH))
    for name in pairs(tables) do
      assert.is_true(marks["columns " .. name], "no fields of " .. name)
      assert.is_true(marks["constraints " .. name], "no constraints of " .. name)
    end
  end)

  it("is found wrong where a field, a constraint, an index, a statement or a plan has drifted", function()
    local text = shell.read(PATH)
    for _, drift in ipairs{
      { "| `token_total` | `INTEGER` |", "| `token_total` | `REAL` |" },
      { "BETWEEN 1 AND 255)", "BETWEEN 1 AND 256)" },
      { "| `messages_pinned_idx` |", "| `messages_role_idx` |" },
      { "ORDER BY seq DESC\nLIMIT ?5", "ORDER BY seq ASC\nLIMIT ?5" },
      { "USING INDEX convstore_conversations_user_id_updated_at_idx", "USING INDEX convstore_other_idx" },
    } do
      local at, last = text:find(drift[1], 1, true)
      assert.is_truthy(at, "the document has no " .. drift[1])
      local drifted = text:sub(1, at - 1) .. drift[2] .. text:sub(last + 1)
      local rendered, differences = document.render(drifted, generators)
      assert.equal(1, #differences)
      assert.equal(text, rendered)
    end
  end)

  it("has a diagram of the tables and foreign keys that there are", function()
    assert.equal(diagram, shell.read(DIAGRAM))
    local drawn = shell.read(DRAWN)
    for name, one in pairs(tables) do
      assert.is_truthy(drawn:find(">" .. name .. "<", 1, true), "the drawing lacks " .. name)
      for _, column in ipairs(name:find("_archive$") and {} or one.columns) do
        assert.is_truthy(drawn:find(">" .. column.name .. "[ &<]"),
          "the drawing lacks " .. name .. "." .. column.name)
      end
    end
  end)
end)

-- The specs that documents name as what shows a claim: rows of a table, whose second field is a link to the file and
-- whose third is the title or its beginning.
describe("a document's checklist", function()
  local ROW = "\n| ([^|]+) | %[`(spec/[%w_/]+%.lua)`%]%([^)]*%) | ([^|\n]+) |"

  -- What is missing, and how many rows there are.
  local function missing(text)
    local lines, n = {}, 0
    for claim, path, title in text:gmatch(ROW) do
      n = n + 1
      local spec = shell.read(path)
      if not spec then
        lines[#lines + 1] = ("%s: there is no %s"):format(claim, path)
      elseif not spec:find('it("' .. title, 1, true) then
        lines[#lines + 1] = ("%s: %s has no spec '%s'"):format(claim, path, title)
      end
    end
    return table.concat(lines, "\n"), n
  end

  for path, least in pairs{ [PATH] = 50, ["docs/contracts.md"] = 15 } do
    it("names specs that there are: " .. path, function()
      local found, n = missing(shell.read(path))
      assert.equal("", found)
      assert.is_true(n >= least, "only " .. n .. " rows were understood")
    end)
  end

  it("is found wrong where a spec is not there", function()
    local function missing_in(file, title)
      return (missing(("\n| a | [`spec/%s`](../spec/%s) | %s |\n"):format(file, file, title)))
    end
    assert.equal("", missing_in("append_spec.lua", "says something"))
    assert.equal("a: spec/append_spec.lua has no spec 'flies'", missing_in("append_spec.lua", "flies"))
    assert.equal("a: there is no spec/no_spec.lua", missing_in("no_spec.lua", "flies"))
  end)
end)

describe("a document with parts that are made", function()
  local function generators()
    return { twice = function(word) return word .. "\n" .. word end, unknown_here = function() end }
  end

  it("is made anew between its marks only", function()
    local text = "a\n<!-- generated: twice x -->\nold\n<!-- end -->\nb\n"
    local rendered, differences = document.render(text, generators())
    assert.equal("a\n<!-- generated: twice x -->\nx\nx\n<!-- end -->\nb\n", rendered)
    assert.same({ { line = 3, mark = "twice x", was = "old", is = "x" } }, differences)
    assert.same({}, select(2, document.render(rendered, generators())))
  end)

  it("keeps what cannot be known", function()
    local text = "<!-- generated: unknown_here -->\nkept\n<!-- end -->\n"
    assert.equal(text, (document.render(text, generators())))
  end)

  it("is refused with a mark that nothing makes or that has no end", function()
    local unknown = "<!-- generated: never -->\n<!-- end -->\n"
    assert.has_error(function() document.render(unknown, generators()) end, "line 1: nothing makes 'never'")
    assert.has_error(function() document.render("\n<!-- generated: twice x -->\n", generators()) end,
      "line 2: no '<!-- end -->' behind 'twice x'")
  end)
end)
