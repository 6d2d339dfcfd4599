-- That the server goes straight to a message: by EXPLAIN, beside many users' rows, where it could not know that a
-- conversation has one user and read whole conversations for one message of theirs.
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"
local plans = require "tools.models.plans"
local sources = require "tools.models.sources"

if not postgres.is_there() then return end

-- What reads, changes or moves some messages of a conversation by their seq or id, in the frame that it runs in.
local STATEMENTS = {
  user = { "history", "history_desc", "history_page", "history_page_desc", "bounds", "bounds_desc",
    "message_by_seq", "message_by_id", "stored_messages", "annotate_message", "redact_message", "unarchive",
    "context", "list", "fork", "search_read", "search_found", "insert_segment" },
  operator = { "archive_part", "shrink_part" },
}
local SCAN = "using (messages_[%w_]+) on messages[^\n]*\n%s*Index Cond: ([^\n]*)"

describe("plans #postgres", function()
  after_each(backends.clean)

  it("find messages by the whole of a key, not by its conversation alone", function()
    local _, database = backends.postgres.fresh()
    local function run(sql) return database:sql(sql) end
    plans.seed(run)
    local statements = sources.statements(os.getenv("CONVSTORE_TEST_STATEMENTS")).postgres
    local function text_of(name) return assert(statements[name], name)[1] end
    local n, loose = 0, {}
    for frame, names in pairs(STATEMENTS) do
      for _, name in ipairs(names) do
        for index, condition in plans.postgres(run, text_of(name), frame, text_of):gmatch(SCAN) do
          local column = index:find("_pkey$") and "(seq " or index:find("_id_key$") and "(id = "
          if column then
            n = n + 1
            if not condition:find(column, 1, true) then
              loose[#loose + 1] = ("%s: %s: %s"):format(name, index, condition)
            end
          end
        end
      end
    end
    assert.equal("", table.concat(loose, "\n"))
    assert.is_true(n >= 35, "only " .. n .. " scans were understood")
  end)
end)
