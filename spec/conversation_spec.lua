-- Conversations: how they come to be, are found, and what their handles know.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

local MISSING = "00000000-0000-7000-8000-000000000000"

for _, backend in ipairs(backends) do
  describe("a conversation " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return store:user("alice"), store, database
    end

    describe("that is new", function()
      it("has these fields", function()
        local chat = assert(fresh():conversation("telegram:1"))
        check.uuid7(chat.id)
        assert.equal("telegram:1", chat.key)
        assert.equal("alice", chat.user_id)
        assert.is_nil(chat.title)
        assert.equal("active", chat.status)
        assert.is_nil(chat.metadata)
        check.just_now(chat.created_at)
        assert.equal(chat.created_at, chat.updated_at)
        assert.is_nil(chat.deleted_at)
        assert.equal(0, chat.message_count)
        assert.equal(0, chat.token_count)
        assert.equal(0, chat.last_seq)
        assert.is_nil(chat.forked_from)
      end)

      it("needs neither key nor fields", function()
        local alice = fresh()
        local first, second, third = assert(alice:create()), assert(alice:create({})),
          assert(alice:create(nil))
        assert.is_nil(first.key)
        assert.not_equal(first.id, second.id)
        assert.not_equal(second.id, third.id)
      end)

      it("takes every field that create knows", function()
        local alice = fresh()
        local id = convstore.uuid()
        local chat = assert(alice:create({
          id = id, key = "k", title = "Träume", status = "closed", metadata = { n = 9007199254740993,
          list = { 1, 2.5 } },
          created_at = 1000000000000,
        }))
        for _, each in ipairs({ chat, assert(alice:get(id)) }) do
          assert.equal(id, each.id)
          assert.equal("k", each.key)
          assert.equal("Träume", each.title)
          assert.equal("closed", each.status)
          check.same_json({ n = 9007199254740993, list = { 1, 2.5 } }, each.metadata)
          assert.equal(1000000000000, each.created_at)
          check.just_now(each.updated_at)
        end
      end)

      it("takes every field that conversation knows", function()
        local alice = fresh()
        local id = convstore.uuid()
        local chat = assert(alice:conversation("k", {
          id = id, title = "T", status = "archived", metadata = { a = true }, created_at = 0 }))
        assert.equal(id, chat.id)
        assert.equal("T", chat.title)
        assert.equal("archived", chat.status)
        check.same_json({ a = true }, chat.metadata)
        assert.equal(0, chat.created_at)
      end)

      it("has any lower-case UUID that a caller gives it", function()
        local alice = fresh()
        for _, id in ipairs({ "054e1df3-35e0-4bb8-a585-607dbdcd24e0", "00000000-0000-0000-0000-000000000000",
          "ffffffff-ffff-ffff-ffff-ffffffffffff", MISSING }) do
          assert.equal(id, assert(alice:create({ id = id })).id)
          assert.equal(id, assert(alice:get(id)).id)
        end
      end)

      it("takes convstore.null for a field that is absent", function()
        local chat = assert(fresh():create({ metadata = convstore.null }))
        assert.is_nil(chat.metadata)
      end)
    end)

    describe("is refused", function()
      it("with a field that breaks a rule, and nothing is made", function()
        local alice = fresh()
        local wrong = {
          id = { "", "x", "054E1DF3-35E0-4BB8-A585-607DBDCD24E0", "054e1df335e04bb8a585607dbdcd24e0",
            "054e1df3-35e0-4bb8-a585-607dbdcd24e0 ", "054e1df3-35e0-4bb8-a585-607dbdcd24eg",
            "{054e1df3-35e0-4bb8-a585-607dbdcd24e}", "054e1df3-35e0-4bb8-a585\0607dbdcd24e0" },
          key = { "", ("x"):rep(256), "a\0b", "a\255", ("é"):rep(128) },
          title = { ("x"):rep(2049), "a\0b", "\xC3" },
          status = { "", "Active", "deleted", "active " },
          created_at = { -1, 253402300800000, math.maxinteger, math.mininteger },
        }
        for name, values in pairs(wrong) do
          for _, value in ipairs(values) do
            check.fails("invalid", name, alice:create({ [name] = value }))
            if name == "key" then
              check.fails("invalid", name, alice:conversation(value))
            else
              check.fails("invalid", name, alice:conversation("k", { [name] = value }))
            end
          end
        end
        -- Had any of these been made, it would not be new now.
        assert.is_nil(assert(alice:conversation("k")).title)
      end)

      it("with a field of the wrong type or an unknown name: this raises", function()
        local alice = fresh()
        local wrong = {
          id = { 5, true, {} }, title = { 5, true, {} }, status = { 1, true, {} }, created_at = { "5", true,
          {}, 1.5 },
          metadata = { "x", 5, true, print }, nonsense = { 1 }, user_id = { "bob" }, last_seq = { 1 },
          updated_at = { 1 },
          deleted_at = { 1 }, message_count = { 1 }, token_count = { 1 }, forked_from = { {} },
        }
        for name, values in pairs(wrong) do
          for _, value in ipairs(values) do
            check.argument(name, alice, "create", { [name] = value })
            check.argument(name, alice, "conversation", "k", { [name] = value })
          end
        end
        check.argument("key", alice, "conversation", "k", { key = "k" })
        for _, key in ipairs({ 5, true, {} }) do
          check.argument("key", alice, "create", { key = key })
          check.argument("#1", alice, "conversation", key)
        end
        check.argument("#1", alice, "conversation")
        check.argument("#1", alice, "create", "x")
        check.argument("#2", alice, "conversation", "k", "x")
      end)

      it("with a key that can't be one even where texts are replaced", function()
        local alice = fresh({ text = "replace" })
        check.fails("invalid", "key", alice:conversation("a\255"))
        check.fails("invalid", "key", alice:create({ key = "a\0" }))
        check.fails("invalid", "id", alice:create({ id = "054e1df3-35e0-4bb8-a585-607dbdcd24e\255" }))
        assert.equal("a\u{FFFD}", assert(alice:create({ title = "a\255" })).title)
      end)
    end)

    describe("with a key", function()
      it("is made once and found after that, whatever the fields say then", function()
        local alice = fresh()
        local first = assert(alice:conversation("k", { title = "first" }))
        local again = assert(alice:conversation("k", { title = "second", metadata = { a = 1 } }))
        assert.equal(first.id, again.id)
        assert.equal("first", again.title)
        assert.is_nil(again.metadata)
        assert.equal(first.id, assert(alice:conversation("k", { id = first.id })).id)
        assert.equal(first.id, assert(alice:conversation("k", { id = MISSING })).id)
        check.fails("not_found", nil, alice:get(MISSING))
      end)

      it("may have any text of 1 to 255 bytes", function()
        local alice = fresh()
        local seen = {}
        for _, key in ipairs({ "x", ("x"):rep(255), "用户:1", "a", "A", "a ", " ", "%", "'", "é",
          "e\u{301}", "\u{10FFFF}", "1", "01" }) do
          local chat = assert(alice:conversation(key))
          assert.equal(key, chat.key)
          assert.is_nil(seen[chat.id])
          seen[chat.id] = true
          assert.equal(chat.id, assert(alice:conversation(key)).id)
        end
      end)

      it("is one per user", function()
        local alice, store = fresh()
        local bob = store:user("bob")
        local hers, his = assert(alice:conversation("k")), assert(bob:conversation("k"))
        assert.not_equal(hers.id, his.id)
        assert.equal("bob", his.user_id)
      end)

      it("that is taken: create gives conflict and makes nothing", function()
        local alice = fresh()
        assert(alice:conversation("k"))
        local id = check.fails("conflict", "k", alice:create({ key = "k" }))
        check.fails("not_found", nil, alice:get(id))
      end)

      it("and the id of one with another key: conflict", function()
        local alice = fresh()
        local other = assert(alice:conversation("other"))
        local plain = assert(alice:create())
        assert(alice:conversation("k"))
        check.fails("conflict", nil, alice:conversation("k", { id = other.id }))
        check.fails("conflict", nil, alice:conversation("k", { id = plain.id }))
        check.fails("conflict", nil, alice:conversation("free", { id = other.id }))
        assert.equal(other.id, assert(alice:conversation("other")).id)
        assert.is_nil(assert(alice:get(plain.id)).key)
      end)

      if backend.shared then
        it("is the same for processes that ask at once", function()
          local _, _, database = fresh()
          local workers = {}
          for i = 1, 4 do
            workers[i] = database:start("keys", { 25 })
          end
          for _, worker in ipairs(workers) do
            assert.equal("ready", worker:line())
          end
          for _, worker in ipairs(workers) do
            worker:tell("go")
          end
          local outputs = {}
          for i, worker in ipairs(workers) do
            local output, ok, errors = worker:finish()
            assert.is_true(ok, errors)
            outputs[i] = output
          end
          assert.equal(outputs[1], outputs[2])
          assert.equal(outputs[1], outputs[3])
          assert.equal(outputs[1], outputs[4])
          assert.equal(25, database:count("conversations"))
        end)
      end
    end)

    describe("with a caller's id", function()
      it("is the same when it is created again", function()
        local alice = fresh()
        local id = convstore.uuid()
        local first = assert(alice:create({ id = id, title = "first" }))
        assert(first:append("user", "hello"))
        local again = assert(alice:create({ id = id, title = "first" }))
        assert.equal(id, again.id)
        assert.equal("first", again.title)
        assert.equal(1, again.last_seq)
        assert.equal(id, assert(alice:create({ id = id, key = "k2", title = "x" })).id)
        assert.equal("first", assert(alice:get(id)).title)
      end)

      it("can't be created while it is soft-deleted", function()
        local alice = fresh()
        local chat = assert(alice:create())
        assert(chat:delete())
        check.fails("conflict", nil, alice:create({ id = chat.id }))
        check.fails("conflict", nil, alice:conversation("k", { id = chat.id }))
      end)

      it("can be created again once it is purged", function()
        local alice = fresh()
        local chat = assert(alice:create({ title = "first" }))
        assert(chat:append("user", "hello"))
        assert(chat:purge())
        local again = assert(alice:create({ id = chat.id }))
        assert.is_nil(again.title)
        assert.same({}, assert(again:history()))
      end)
    end)

    describe("get", function()
      it("finds it by its id", function()
        local alice = fresh()
        local chat = assert(alice:conversation("k", { title = "T" }))
        local found = assert(alice:get(chat.id))
        assert.equal("k", found.key)
        assert.equal("T", found.title)
        assert.equal(chat.id, assert(alice:get(chat.id, {})).id)
        assert.equal(chat.id, assert(alice:get(chat.id, { deleted = false })).id)
        assert.equal(chat.id, assert(alice:get(chat.id, { deleted = true })).id)
      end)

      it("gives not_found for an id that nobody has, naming it", function()
        local alice = fresh()
        check.fails("not_found", MISSING, alice:get(MISSING))
        check.fails("not_found", MISSING, alice:get(MISSING, { deleted = true }))
      end)

      it("gives invalid for what is no id", function()
        local alice = fresh()
        local id = assert(alice:create()).id
        for _, wrong in ipairs({ "", "x", id:upper(), id .. " ", id:sub(1, 35), id .. "\0", (id:gsub("-",
          "")), "\255" }) do
          check.fails("invalid", "id", alice:get(wrong))
        end
      end)

      it("raises for wrong types and unknown options", function()
        local alice = fresh()
        check.argument("#1", alice, "get")
        check.argument("#1", alice, "get", 5)
        check.argument("#1", alice, "get", {})
        check.argument("#2", alice, "get", MISSING, true)
        check.argument("deleted", alice, "get", MISSING, { deleted = 1 })
        check.argument("nonsense", alice, "get", MISSING, { nonsense = 1 })
      end)
    end)

    describe("handle", function()
      it("knows what was written through it, and others by refresh", function()
        local alice = fresh()
        local first = assert(alice:create())
        local second = assert(alice:get(first.id))
        assert(first:append("user", "12345678"))
        assert(first:append_many({ { role = "user", content = "1234" }, { role = "user", content = "5" } }))
        assert.equal(3, first.last_seq)
        assert.equal(3, first.message_count)
        assert.equal(4, first.token_count)
        assert.is_true(first.updated_at >= first.created_at)
        assert.equal(0, second.last_seq)
        assert.equal(second, assert(second:refresh()))
        assert.equal(3, second.last_seq)
        assert.equal(3, second.message_count)
        assert.equal(4, second.token_count)
        assert.equal(first.updated_at, second.updated_at)
        assert(first:update({ title = "T", status = "closed", key = "k", metadata = { a = 1 } }))
        assert(second:refresh())
        assert.equal("T", second.title)
        assert.equal("closed", second.status)
        assert.equal("k", second.key)
        check.same_json({ a = 1 }, second.metadata)
      end)
    end)

    if backend.shared then
      it("has the time of its last write as updated_at, not that of a read or a retry", function()
        local alice, _, database = fresh()
        local chat = assert(alice:conversation("k"))
        local id = assert(chat:append("user", "x")).id
        local function updated_after(call)
          database:backdate()
          call()
          return assert(alice:get(chat.id, { deleted = true })).updated_at
        end
        local writes = {
          function() assert(chat:append("user", "y")) end,
          function() assert(chat:append_many({ { role = "user", content = "y" } })) end,
          function() assert(chat:append("user", "y", { created_at = 1000 })) end,
          function() assert(chat:update({ title = "T" })) end,
          function() assert(chat:update({ metadata = { a = 1 }, merge = true })) end,
          function() assert(chat:annotate(1, { a = 1 })) end,
          function() assert(chat:redact(2)) end,
          function() assert(chat:delete()) end,
          function() assert(chat:restore()) end,
        }
        for _, write in ipairs(writes) do
          check.just_now(updated_after(write))
        end
        local others = {
          function() assert(chat:append("user", "x", { id = id })) end,
          function() assert(chat:append_many({ { role = "user", content = "x", id = id } })) end,
          function() assert(chat:append_many({})) end,
          function() assert(alice:conversation("k", { title = "U" })) end,
          function() assert(alice:create({ id = chat.id })) end,
          function() assert(chat:history()) end,
          function() assert(chat:message(1)) end,
          function() assert(chat:refresh()) end,
          function() check.fails("conflict", nil, chat:append("user", "z", { expect = 99 })) end,
          function() check.fails("not_found", nil, chat:annotate(99, {})) end,
          function() check.fails("not_found", nil, chat:redact(99)) end,
        }
        for i, other in ipairs(others) do
          assert.equal(5, updated_after(other), "call " .. i)
        end
      end)

      it("shows the time of a write through its own handle", function()
        local alice, _, database = fresh()
        local chat = assert(alice:conversation("k"))
        database:backdate()
        assert(chat:refresh())
        assert.equal(5, chat.updated_at)
        assert(chat:append("user", "x"))
        check.just_now(chat.updated_at)
      end)

      it("is there after the store was closed and opened", function()
        local alice, _, database = fresh()
        local chat = assert(alice:conversation("k", { title = "T", metadata = { a = { 1 } } }))
        assert(chat:append("user", "hello"))
        local store = database:reopen()
        local again = assert(store:user("alice"):conversation("k"))
        assert.equal(chat.id, again.id)
        for _, name in ipairs({ "key", "user_id", "title", "status", "created_at", "updated_at",
          "message_count",
          "token_count", "last_seq" }) do
          assert.equal(chat[name], again[name], name)
        end
        check.same_json({ a = { 1 } }, again.metadata)
      end)
    end
  end)
end
