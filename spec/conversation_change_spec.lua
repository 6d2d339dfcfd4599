-- What becomes of a conversation: updates, soft deletion, its undo, and the end.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"

for _, backend in ipairs(backends) do
  describe("a conversation " .. backend.tags, function()
    after_each(backends.clean)

    local function fresh(options)
      local store, database = backend.fresh(options)
      return store:user("alice"), store, database
    end

    describe("update", function()
      it("changes what is named and returns the same handle", function()
        local alice = fresh()
        local chat = assert(alice:create({ title = "old", metadata = { a = 1 } }))
        assert.equal(chat, assert(chat:update({ title = "new" })))
        assert.equal("new", chat.title)
        check.same_json({ a = 1 }, chat.metadata)
        assert(chat:update({ metadata = { b = 2 } }))
        check.same_json({ b = 2 }, chat.metadata)
        assert(chat:update({ status = "archived" }))
        assert(chat:update({ key = "k" }))
        local stored = assert(alice:conversation("k"))
        assert.equal(chat.id, stored.id)
        assert.equal("new", stored.title)
        assert.equal("archived", stored.status)
        check.same_json({ b = 2 }, stored.metadata)
        assert(chat:update({ title = "", key = "k2", status = "active", metadata = {} }))
        stored = assert(alice:conversation("k2"))
        assert.equal("", stored.title)
        assert.equal("active", stored.status)
        check.same_json({}, stored.metadata)
        assert.not_equal(chat.id, assert(alice:conversation("k")).id)
      end)

      it("clears with convstore.null", function()
        local alice = fresh()
        local chat = assert(alice:create({ title = "T", key = "k", metadata = { a = 1 } }))
        assert(chat:update({ title = convstore.null, key = convstore.null, metadata = convstore.null }))
        for _, each in ipairs({ chat, assert(alice:get(chat.id)) }) do
          assert.is_nil(each.title)
          assert.is_nil(each.key)
          assert.is_nil(each.metadata)
        end
        assert.not_equal(chat.id, assert(alice:conversation("k")).id)
        check.fails("invalid", "status", chat:update({ status = convstore.null }))
      end)

      it("merges metadata by RFC 7396 where it is asked to", function()
        local chat = assert(fresh():create({ metadata = { a = 1, b = { c = 2, d = 3 }, list = { 1, 2 } } }))
        assert(chat:update({ merge = true, metadata = { b = { c = convstore.null, e = 4.5 }, list = { 3 },
          new = true } }))
        check.same_json({ a = 1, b = { d = 3, e = 4.5 }, list = { 3 }, new = true }, chat.metadata)
        assert(chat:update({ merge = false, metadata = { z = 1 } }))
        check.same_json({ z = 1 }, chat.metadata)
        assert(chat:update({ merge = true, metadata = {} }))
        check.same_json({ z = 1 }, chat.metadata)
      end)

      it("merges into metadata that was never set", function()
        local chat = assert(fresh():create())
        assert(chat:update({ merge = true, metadata = { a = 1, b = convstore.null,
          c = { d = convstore.null } } }))
        check.same_json({ a = 1, c = {} }, chat.metadata)
      end)

      it("renews updated_at", function()
        local alice = fresh()
        local chat = assert(alice:create({ created_at = 1000 }))
        assert(chat:update({ title = "T" }))
        check.just_now(chat.updated_at)
        assert.equal(1000, chat.created_at)
      end)

      it("may set the key that it has already", function()
        local chat = assert(fresh():conversation("k"))
        assert.equal("k", assert(chat:update({ key = "k" })).key)
      end)

      it("gives conflict for a key that is taken and changes nothing", function()
        local alice, store = fresh()
        local first, second = assert(alice:conversation("one")), assert(alice:conversation("two"))
        check.fails("conflict", "one", second:update({ key = "one", title = "T" }))
        assert(second:refresh())
        assert.equal("two", second.key)
        assert.is_nil(second.title)
        assert(store:user("bob"):conversation("three"))
        assert(second:update({ key = "three" }))
        assert(first:delete())
        assert(second:update({ key = "one" }))
      end)

      it("refuses values that break a rule and changes nothing", function()
        local alice = fresh()
        local chat = assert(alice:create({ title = "T", metadata = { a = 1 } }))
        check.fails("invalid", "title", chat:update({ title = ("x"):rep(2049), status = "closed" }))
        check.fails("invalid", "status", chat:update({ status = "gone", title = "x" }))
        check.fails("invalid", "key", chat:update({ key = "", title = "x" }))
        check.fails("invalid", "key", chat:update({ key = ("x"):rep(256), title = "x" }))
        check.fails("invalid", "metadata", chat:update({ metadata = { f = print }, title = "x" }))
        local stored = assert(alice:get(chat.id))
        assert.equal("T", stored.title)
        assert.equal("active", stored.status)
        assert.is_nil(stored.key)
        check.same_json({ a = 1 }, stored.metadata)
        assert.equal(2048, #assert(chat:update({ title = ("x"):rep(2048) })).title)
      end)

      it("raises for wrong types and unknown fields", function()
        local chat = assert(fresh():create())
        check.argument("#1", chat, "update")
        check.argument("#1", chat, "update", "title")
        local wrong = { title = { 5, true, {} }, status = { 1, {} }, key = { 5, {} }, metadata = { "x", 5,
          true },
          merge = { 1, "true" }, id = { "00000000-0000-7000-8000-000000000000" }, created_at = { 5 },
          nonsense = { 1 } }
        for name, values in pairs(wrong) do
          for _, value in ipairs(values) do
            check.argument(name, chat, "update", { [name] = value })
          end
        end
      end)
    end)

    describe("that is soft-deleted", function()
      local function deleted()
        local alice, store, database = fresh()
        local chat = assert(alice:conversation("k", { title = "T" }))
        assert(chat:append("user", "hello"))
        assert.is_true(chat:delete())
        return chat, alice, store, database
      end

      it("is hidden from every call on every handle of it", function()
        local alice = fresh()
        local chat = assert(alice:conversation("k"))
        local message = assert(chat:append("user", "hello"))
        local other = assert(alice:get(chat.id))
        assert(chat:delete())
        for _, handle in ipairs({ chat, other }) do
          check.fails("not_found", nil, handle:append("user", "x"))
          check.fails("not_found", nil, handle:append_many({ { role = "user", content = "x" } }))
          check.fails("not_found", nil, handle:append_many({}))
          check.fails("not_found", nil, handle:append("user", "hello", { id = message.id }))
          check.fails("not_found", nil, handle:message(1))
          check.fails("not_found", nil, handle:message(message.id))
          check.fails("not_found", nil, handle:history())
          check.fails("not_found", nil, handle:update({ title = "x" }))
          check.fails("not_found", nil, handle:annotate(1, { a = 1 }))
          check.fails("not_found", nil, handle:redact(1))
          check.fails("not_found", nil, handle:refresh())
          check.raises("not_found", function()
            for _ in handle:each() do error("there is nothing to see") end
          end)
        end
        check.fails("not_found", chat.id, alice:get(chat.id))
      end)

      it("is shown by get to those who ask", function()
        local chat, alice = deleted()
        local found = assert(alice:get(chat.id, { deleted = true }))
        check.just_now(found.deleted_at)
        assert.equal("T", found.title)
        assert.equal("k", found.key)
        assert.equal(1, found.last_seq)
        check.fails("not_found", nil, found:history())
      end)

      it("can be deleted again", function()
        local chat, alice = deleted()
        local at = assert(alice:get(chat.id, { deleted = true })).deleted_at
        assert.is_true(chat:delete())
        assert.equal(at, assert(alice:get(chat.id, { deleted = true })).deleted_at)
      end)

      it("leaves its key to a new one", function()
        local chat, alice = deleted()
        local new = assert(alice:conversation("k"))
        assert.not_equal(chat.id, new.id)
        assert.equal(0, new.last_seq)
      end)

      it("comes back whole by restore", function()
        local chat, alice = deleted()
        assert.equal(chat, assert(chat:restore()))
        assert.is_nil(chat.deleted_at)
        assert.equal("hello", assert(chat:message(1)).content)
        assert.equal(2, assert(chat:append("user", "again")).seq)
        assert.equal(chat.id, assert(alice:conversation("k")).id)
        assert.equal(chat, assert(chat:restore()))
      end)

      it("comes back by a handle that get gave", function()
        local chat, alice = deleted()
        local found = assert(alice:get(chat.id, { deleted = true }))
        assert(found:restore())
        assert.is_nil(found.deleted_at)
        assert.equal("hello", assert(chat:message(1)).content)
      end)

      it("stays where it is when its key was taken meanwhile", function()
        local chat, alice = deleted()
        local new = assert(alice:conversation("k"))
        check.fails("conflict", "k", chat:restore())
        check.fails("not_found", nil, chat:history())
        assert(new:update({ key = "else" }))
        assert(chat:restore())
      end)

      it("can be purged", function()
        local chat, alice = deleted()
        assert.is_true(chat:purge())
        check.fails("not_found", nil, alice:get(chat.id, { deleted = true }))
        check.fails("not_found", nil, chat:restore())
        check.fails("not_found", nil, chat:purge())
      end)
    end)

    describe("purge", function()
      it("removes a live conversation with all its messages, and no other", function()
        local alice, store = fresh()
        local chat, other = assert(alice:create()), assert(alice:create())
        local his = assert(store:user("bob"):create({ id = chat.id }))
        for _, each in ipairs({ chat, other, his }) do
          assert(each:append("user", "hello"))
        end
        assert.is_true(chat:purge())
        check.fails("not_found", nil, chat:history())
        check.fails("not_found", nil, chat:append("user", "x"))
        check.fails("not_found", nil, chat:delete())
        check.fails("not_found", nil, chat:refresh())
        assert.equal("hello", assert(other:message(1)).content)
        assert.equal("hello", assert(his:message(1)).content)
      end)

      if backend.shared then
        it("leaves no row behind", function()
          local alice, _, database = fresh()
          local chat = assert(alice:create())
          for i = 1, 10 do
            assert(chat:append("user", tostring(i)))
          end
          assert(chat:purge())
          assert.equal(0, database:count("conversations"))
          assert.equal(0, database:count("messages"))
        end)
      end
    end)
  end)
end
