-- That the server goes straight to a message: by EXPLAIN, beside many users' rows, where it could not know that a
-- conversation has one user and read whole conversations for one message of theirs.
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"
local plans = require "tools.models.plans"
local sources = require "tools.models.sources"

if not postgres.is_there() then return end

-- What reads or changes some messages of a conversation by their seq or id. All take them from both tables.
local STATEMENTS = { "history", "history_desc", "history_page", "history_page_desc", "bounds", "bounds_desc",
  "message_by_seq", "message_by_id", "stored_messages", "annotate_message", "redact_message", "context",
  "list", "fork", "search_read", "search_found", "insert_segment" }

local SCAN = "using (messages_%w*_?%w+) on messages[^\n]*\n%s*Index Cond: ([^\n]*)"

describe("plans #postgres", function()
  after_each(backends.clean)

  it("find messages by the whole of a key, not by its conversation alone", function()
    local _, database = backends.postgres.fresh()
    local function run(sql) return database:sql(sql) end
    plans.seed(run)
    local statements = sources.statements(os.getenv("CONVSTORE_TEST_STATEMENTS")).postgres
    local n = 0
    for _, name in ipairs(STATEMENTS) do
      local plan = plans.postgres(run, assert(statements[name], name)[1], "user", function(other)
        return statements[other][1]
      end)
      for index, condition in plan:gmatch(SCAN) do
        if index:find("_pkey$") then
          n = n + 1
          assert.is_truthy(condition:find("(seq ", 1, true), name .. ": " .. condition)
        elseif index:find("_id_key$") then
          n = n + 1
          assert.is_truthy(condition:find("(id = ", 1, true), name .. ": " .. condition)
        end
      end
    end
    assert.is_true(n >= 2 * #STATEMENTS, "only " .. n .. " scans were understood")
  end)
end)
