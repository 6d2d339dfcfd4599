-- The table of embeddings that docs/conversation-models.md shows beside ours: its SQL, under the library's own calls.
local backends = require "spec.support.backends"
local shell = require "spec.support.shell"

-- The block for a database, up to where it begins to fill the table.
local function definition(name)
  local mark = "<!%-%- run: " .. name .. ", after=[%w_]*talk %-%->\n```sql\n"
  local block = shell.read("docs/conversation-models.md"):match(mark .. "(.-)```")
  return block:match("^(.-)\n%-%- What has none yet") or block:match("^(.-)\nINSERT INTO")
end

for _, backend in ipairs{ backends.sqlite, backends.postgres } do
  describe("a table of embeddings beside ours " .. backend.tags, function()
    after_each(backends.clean)

    it("loses what is redacted, purged and erased, and nothing by the archive", function()
      local store, database = backend.fresh()
      local user = store:user("42")
      local chat, other = assert(user:conversation("a")), assert(user:conversation("b"))
      for i = 1, 3 do
        assert(chat:append("user", "a" .. i))
        assert(other:append("user", "b" .. i))
      end
      local vector = database.server_database and "ARRAY[1, 2]" or "x'0000803f'"
      database:sql(definition(database.server_database and "postgres" or "sqlite"))
      local fill = "INSERT INTO message_embeddings SELECT user_id, conversation_id, id, 'small', %s FROM %s;"
      database:sql(fill:format(vector, database:table("messages")))
      local function count()
        return tonumber(database:sql("SELECT count(*) FROM message_embeddings;"))
      end
      assert.equal(6, count())
      assert(chat:redact(2))
      assert.equal(5, count())
      assert.equal(2, assert(store:archive{ idle_before = os.time() * 1000 + 3600000 }).conversations)
      assert.equal(5, count())
      assert(chat:redact(3)) -- in the archive
      assert.equal(4, count())
      assert(other:purge())
      assert.equal(1, count())
      assert(user:erase())
      assert.equal(0, count())
    end)
  end)
end
