-- Conversations whose messages lie in the archive table: every call reads them as before, an append moves them back.
-- The rows are moved by hand here, whatever their conversation is; spec/archive_spec.lua has the real archive.
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local model = require "spec.support.history_model"
local random = require "spec.support.random"

local sqlite = backends.sqlite

describe("an archived conversation #sqlite", function()
  after_each(backends.clean)

  local function archive(database)
    database:sql([[
      BEGIN;
      INSERT INTO convstore_messages_archive SELECT * FROM convstore_messages;
      DELETE FROM convstore_messages;
      UPDATE convstore_conversations SET archived_at = 1000, archived_seq = last_seq, status = 'archived';
      COMMIT;]])
  end

  local function where(database)
    return database:sql([[
      SELECT (SELECT count(*) FROM convstore_messages), (SELECT count(*) FROM convstore_messages_archive);]])
  end

  local function fresh()
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local stored = assert(chat:append_many({
      { role = "user", content = "1", metadata = { a = 1 }, attachments = { { name = "a" } } },
      { role = "assistant", tool_calls = { { id = "c" } }, name = "Eliza" },
      { role = "tool", content = { { type = "text", text = "3" } }, tool_call_id = "c" },
    }))
    archive(database)
    assert.equal("0|3\n", where(database))
    return chat, stored, database, store
  end

  it("reads as before", function()
    local chat, stored, database = fresh()
    check.same_json(stored, assert(chat:history()))
    check.same_json(stored[2], assert(chat:message(2)))
    check.same_json(stored[3], assert(chat:message(stored[3].id)))
    local seen = {}
    for message in chat:each() do
      seen[#seen + 1] = message
    end
    check.same_json(stored, seen)
    assert.equal(3, assert(chat:refresh()).last_seq)
    assert.equal("0|3\n", where(database))
  end)

  it("answers as the model for random options", function()
    local source = random.new(11)
    local store, database = sqlite.fresh()
    local chat = assert(store:user("alice"):conversation("k"))
    local roles = model.random_roles(source, 50)
    model.fill(chat, roles)
    archive(database)
    for _ = 1, 100 do
      local options = model.random_options(source, #roles)
      local seqs = {}
      for i, message in ipairs(assert(chat:history(options))) do
        seqs[i] = message.seq
      end
      assert.equal(table.concat(model.seqs(roles, options), " "), table.concat(seqs, " "),
        model.describe(options))
    end
  end)

  it("can be annotated and redacted where it lies", function()
    local chat, _, database = fresh()
    check.same_json({ a = 1, b = 2 }, assert(chat:annotate(1, { b = 2 })).metadata)
    check.same_json({ a = 1, b = 2 }, assert(chat:message(1)).metadata)
    assert.is_nil(assert(chat:redact(3)).content)
    assert.is_nil(assert(chat:message(3)).content)
    assert.equal("0|3\n", where(database))
  end)

  it("moves back at an append, and is active then", function()
    local chat, stored, database = fresh()
    assert.equal(4, assert(chat:append("user", "4")).seq)
    assert.equal("4|0\n", where(database))
    local history = assert(chat:history())
    assert.equal(4, #history)
    check.same_json(stored, table.move(history, 1, 3, 1, {}))
    assert.equal("active", assert(chat:refresh()).status)
    assert.equal("1|1\n2|1\n3|8\n4|9\n",
      database:sql("SELECT seq, token_total FROM convstore_messages ORDER BY seq;"))
  end)

  it("gives what is stored when an id is sent again, and conflicts as before", function()
    local chat, stored, database = fresh()
    check.same_json(stored[1], assert(chat:append("user", "1", { id = stored[1].id })))
    check.fails("conflict", nil, chat:append("user", "other", { id = stored[1].id }))
    check.fails("conflict", nil, chat:append("user", "x", { expect = 2 }))
    assert.equal(3, #assert(chat:history()))
    assert.equal("3\n", database:sql("SELECT last_seq FROM convstore_conversations;"))
    assert.equal(4, assert(chat:append("user", "4", { expect = 3 })).seq)
  end)

  it("is moved back and forth whole, or not at all, in a transaction", function()
    local chat, _, database, store = fresh()
    store:transaction(function()
      assert(chat:append("user", "4"))
      return nil, "no"
    end)
    assert.equal("0|3\n", where(database))
    assert.equal(3, #assert(chat:history()))
  end)

  it("is brought back for no more than half of an append's time, and the rest later", function()
    local store, database = sqlite.fresh()
    local batch = {}
    for i = 1, 2500 do batch[i] = { role = "user", content = "message " .. i } end
    assert(assert(store:user("alice"):conversation("k")):append_many(batch))
    archive(database)
    local hasty = database:open({ timeout = 0.001 })
    local chat = assert(hasty:user("alice"):conversation("k"))
    local before = 2500
    for i = 1, 400 do
      assert.equal(2500 + i, assert(chat:append("user", "message " .. 2500 + i)).seq)
      local left = database:count("messages_archive")
      assert.is_true(left < before and left >= before - 1000, ("%d of %d"):format(left, before))
      database:assert_sound()
      before = left
      if left == 0 then break end
    end
    assert.equal(0, before)
    for i, message in ipairs(assert(chat:history())) do assert.equal("message " .. i, message.content) end
  end)

  it("is purged with all its messages", function()
    local chat, _, database = fresh()
    assert(chat:delete())
    check.fails("not_found", nil, chat:history())
    assert(chat:restore())
    assert(chat:purge())
    assert.equal("0|0\n", where(database))
  end)
end)
