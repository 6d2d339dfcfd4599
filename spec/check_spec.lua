-- store:check: each kind of damage, made by plain SQL, is found and nothing else; when it is mended nothing is.
local backends = require "spec.support.backends"
local problems = require "spec.support.problems"
local rows = require "spec.support.rows"
local searches = require "spec.support.searches"

local assert_sound, assert_found = problems.assert_sound, problems.assert_found

for _, backend in ipairs(backends) do
  describe("check " .. backend.tags, function()
    after_each(backends.clean)

    local function batch(n)
      local messages = {}
      for i = 1, n do
        messages[i] = { role = i == 1 and "system" or i % 2 == 0 and "user" or "assistant", content = "x",
          token_count = 10 * i }
      end
      return messages
    end

    it("has nothing to say of a fresh store", function()
      local store = backend.fresh()
      assert.same({}, assert(store:check()))
    end)

    it("has nothing to say of what the library does", function()
      local store, database = backend.fresh()
      for _, name in ipairs({ "alice", "bob", "Zoë \"q\" %s" }) do
        local user = store:user(name)
        local chat = assert(user:conversation("k"))
        assert(chat:append_many(batch(7)))
        assert(chat:summarize("so far", { through = 7 }))
        assert(chat:fork({ at = 3 }))
        assert(assert(chat:fork()):append("user", "y"))
        assert(assert(chat:fork()):delete())
        assert(user:create())
        assert(assert(user:conversation("many")):append_many(searches.filler(searches.ENOUGH)))
        assert(user:search("filler", { limit = 1 }))
        assert(assert(user:conversation("many")):append("user", "one more"))
        assert(chat:redact(2))
        assert(chat:annotate(3, { a = 1 }))
        if backend.shared then
          local old = assert(user:create())
          assert(old:append_many(batch(4)))
          rows.archive(database, old.id)
        end
      end
      assert_sound(store)
      assert(assert(store:user("bob"):conversation("many")):purge())
      assert(assert(store:user("bob"):conversation("k")):purge())
      assert_sound(store)
    end)

    it("looks at what a transaction has written, in it", function()
      local store = backend.fresh()
      local alice = store:user("alice")
      assert(store:transaction(function()
        assert(assert(alice:create()):append_many(batch(3)))
        assert_sound(store)
        assert(assert(alice:create()):append_many(batch(3)))
        return true
      end))
      assert.equal(2, assert(store:stats()).conversations)
    end)

    if not backend.shared then return end

    local T -- table of this backend by name

    local function fresh(options)
      local store, database = backend.fresh(options)
      T = function(name) return database:table(name) end
      return store, database
    end

    -- Runs SQL that foreign keys do not mind; $name stands for a table of ours.
    local function run(database, sql, ...)
      sql = sql:gsub("%$([%a_]+)", T):format(...)
      if database.server_database then
        return database:sql("SET session_replication_role = replica; BEGIN; " .. sql
          .. "; COMMIT; RESET session_replication_role;")
      end
      return database:sql("PRAGMA foreign_keys = OFF; BEGIN; " .. sql .. "; COMMIT;")
    end

    -- Keeps the rows of a table to put them back: `where` chooses them.
    local function keep(database, name, where)
      run(database, "DROP TABLE IF EXISTS kept_%s; CREATE TABLE kept_%s AS SELECT * FROM $" .. name .. " %s",
        name, name, where or "")
    end

    local function put_back(database, name)
      local into, values = "$" .. name, "*"
      if name == "search_segments" and database.server_database then
        values = "user_id, id, conversation_id, n_messages, messages"
        into = ("$%s (%s) OVERRIDING SYSTEM VALUE"):format(name, values)
      end
      run(database, "INSERT INTO " .. into .. " SELECT " .. values .. " FROM kept_%s; DROP TABLE kept_%s",
        name, name)
    end

    -- alice's conversation of 7 messages, among others that are in order.
    local function seven()
      local store, database = fresh()
      local chat = assert(store:user("alice"):conversation("seven"))
      assert(chat:append_many(batch(7)))
      assert(assert(store:user("alice"):conversation("other")):append_many(batch(5)))
      assert(assert(store:user("bob"):conversation("seven")):append_many(batch(3)))
      return store, database, chat
    end

    it("finds gaps", function()
      local store, database, chat = seven()
      for _, case in ipairs({
        { "seq = 1", "missing messages: 1, the first of them 1$" },
        { "seq IN (3, 4)", "missing messages: 2, the first of them 3" },
        { "seq IN (2, 6)", "missing messages: 2, the first of them 2" },
      }) do
        local where = ("WHERE conversation_id = '%s' AND %s"):format(chat.id, case[1])
        keep(database, "messages", where)
        run(database, "DELETE FROM $messages " .. where)
        assert_found(store, "gap", chat.id, 'user "alice": ' .. case[2])
        put_back(database, "messages")
        assert_sound(store)
      end
      rows.archive(database, chat.id)
      local where = ("WHERE conversation_id = '%s' AND seq = 5"):format(chat.id)
      keep(database, "messages_archive", where)
      run(database, "DELETE FROM $messages_archive " .. where)
      assert_found(store, "gap", chat.id, "missing messages: 1, the first of them 5")
      put_back(database, "messages_archive")
      assert_sound(store)
    end)

    it("finds wrong counters", function()
      local store, database, chat = seven()
      for _, case in ipairs({
        { "conversations", "last_seq", "id", "last_seq is 8, and the last message 7" },
        { "conversations", "token_count", "id", "token_count is 281, and the messages have 280" },
        { "conversations", "pinned_token_count", "id", "pinned_token_count is 11, and the messages have 10" },
        { "messages", "token_total", "seq = 4 AND conversation_id", "token_total of message 4" },
        { "messages", "token_total", "seq = 1 AND conversation_id", "token_total of message 1" },
        { "messages", "token_total", "seq = 7 AND conversation_id", "token_total of message 7" },
      }) do
        local name, column, where, words = table.unpack(case)
        local set = "UPDATE $%s SET %s = %s %s 1 WHERE %s = '%s'"
        local function change(sign)
          run(database, set:format(name, column, column, sign, where, chat.id):gsub("%%", "%%%%"))
        end
        change("+")
        assert_found(store, "counter", chat.id, 'user "alice": ' .. words)
        change("-")
        assert_sound(store)
      end
      -- The last message is lost, and with it no number between the others.
      local where = ("WHERE conversation_id = '%s' AND seq = 7"):format(chat.id)
      keep(database, "messages", where)
      run(database, "DELETE FROM $messages " .. where)
      assert_found(store, "counter", chat.id, "last_seq is 7, and the last message 6")
      put_back(database, "messages")
      -- All are.
      where = ("WHERE conversation_id = '%s'"):format(chat.id)
      keep(database, "messages", where)
      run(database, "DELETE FROM $messages " .. where)
      assert_found(store, "counter", chat.id, "last_seq is 7, and the last message 0")
      put_back(database, "messages")
      assert_sound(store)
      run(database, "UPDATE $messages SET token_count = token_count + 1 WHERE seq = 1"
        .. " AND conversation_id = '%s'", chat.id)
      assert_found(store, "counter", chat.id, "token_count is 280, and the messages have 281")
    end)

    it("finds wrong counters of what is deleted and archived, too", function()
      local store, database, chat = seven()
      rows.archive(database, chat.id)
      assert(chat:delete())
      assert_sound(store)
      run(database, "UPDATE $conversations SET token_count = 300 WHERE id = '%s'", chat.id)
      assert_found(store, "counter", chat.id, "token_count is 300")
      run(database, "UPDATE $conversations SET token_count = 280 WHERE id = '%s'", chat.id)
      assert_sound(store)
    end)

    it("finds messages that lie in the wrong table, or in both", function()
      local store, database, chat = seven()
      local here = ("WHERE conversation_id = '%s'"):format(chat.id)
      run(database, "UPDATE $conversations SET archived_seq = 7 WHERE id = '%s'", chat.id)
      assert_found(store, "misplaced", chat.id,
        database.server_database and "message 1 lies in messages, and archived_seq is 7"
          or "message 1 lies in convstore_messages, and archived_seq is 7")
      run(database, "UPDATE $conversations SET archived_seq = 0 WHERE id = '%s'", chat.id)
      assert_sound(store)
      run(database, "INSERT INTO $messages_archive SELECT * FROM $messages " .. here)
      assert_found(store, "misplaced", chat.id, "message 7 lies in")
      run(database, "DELETE FROM $messages " .. here)
      assert_found(store, "misplaced", chat.id, "archived_seq is 0")
      -- The wrong half of a move.
      run(database, "INSERT INTO $messages SELECT * FROM $messages_archive " .. here .. " AND seq < 4;"
        .. "DELETE FROM $messages_archive " .. here .. " AND seq < 4;"
        .. "UPDATE $conversations SET archived_seq = 4 WHERE id = '%s'", chat.id)
      assert_found(store, "misplaced", chat.id, "message 7 lies in")
      run(database, "UPDATE $conversations SET archived_seq = 0 WHERE id = '%s'", chat.id)
      run(database, "INSERT INTO $messages SELECT * FROM $messages_archive " .. here
        .. "; DELETE FROM $messages_archive " .. here)
      assert_sound(store)
    end)

    -- carol's conversation, of which the search index knows all.
    local function indexed()
      local store, database, chat = seven()
      local known = assert(store:user("carol"):conversation("known"))
      assert(known:append_many(searches.filler(searches.ENOUGH)))
      assert(store:user("carol"):search("filler", { limit = 1 }))
      assert_sound(store)
      return store, database, known, chat
    end

    it("finds what belongs to no conversation", function()
      local store, database, known, chat = indexed()
      assert(chat:summarize("so far"))
      keep(database, "conversations")
      run(database, "DELETE FROM $conversations WHERE id = '%s'", chat.id)
      assert_found(store, "orphan", chat.id,
        'user "alice": rows in %w*_?messages that belong to no conversation: 7')
      assert_found(store, "orphan", chat.id, "rows in %w*_?summaries that belong to no conversation: 1")
      run(database, "DELETE FROM $conversations")
      assert_found(store, "orphan", known.id, "rows in %w*_?messages that belong to no conversation: 300")
      assert_found(store, "orphan", known.id, "rows in %w*_?search_runs that belong to no conversation: %d")
      assert_found(store, "orphan", known.id,
        "rows in %w*_?search_segments that belong to no conversation: 1")
      put_back(database, "conversations")
      assert_sound(store)
      rows.archive(database, chat.id)
      keep(database, "conversations")
      run(database, "DELETE FROM $conversations WHERE id = '%s'", chat.id)
      assert_found(store, "orphan", chat.id,
        "rows in %w*_?messages_archive that belong to no conversation: 7")
      run(database, "DELETE FROM kept_conversations WHERE id <> '%s'", chat.id)
      put_back(database, "conversations")
      assert_sound(store)
    end)

    it("finds what belongs to no segment of the search index", function()
      local store, database = indexed()
      keep(database, "search_segments")
      run(database, "DELETE FROM $search_segments")
      assert_found(store, "orphan", nil, 'user "carol": rows in %w*_?search_runs that belong to no segment')
      assert_found(store, "orphan", nil, "rows in %w*_?search_postings that belong to no segment")
      put_back(database, "search_segments")
      assert_sound(store)
    end)

    it("finds a search index out of step", function()
      local store, database, known, chat = indexed()
      local run_of = ("conversation_id = '%s'"):format(known.id)
      keep(database, "search_runs")
      local function mend()
        run(database, "DELETE FROM $search_runs")
        put_back(database, "search_runs")
        assert_sound(store)
        keep(database, "search_runs")
      end
      run(database, "INSERT INTO $search_runs SELECT user_id, conversation_id, 5, 9, segment_id"
        .. " FROM kept_search_runs WHERE " .. run_of)
      assert_found(store, "search", known.id, 'user "carol": message %d+ is indexed twice')
      mend()
      run(database, "UPDATE $search_runs SET last_seq = last_seq + 1 WHERE " .. run_of)
      assert_found(store, "search", known.id, "messages are indexed up to 301, and the last is 300")
      mend()
      run(database, "UPDATE $search_runs SET first_seq = 2 WHERE first_seq = 1 AND " .. run_of)
      assert_found(store, "search", known.id, "messages that count as indexed and are not: 1")
      assert_found(store, "search", known.id, "segment %d+ has %d+ messages, and its runs have %d+")
      mend()
      run(database, "DELETE FROM $search_runs")
      assert_found(store, "search", known.id, "segment %d+ has %d+ messages, and its runs have 0")
      mend()
      run(database, "UPDATE $search_segments SET n_messages = n_messages + 1")
      assert_found(store, "search", known.id, "segment %d+ has 30[0-9] messages, and its runs have 30[0-9]")
      run(database, "UPDATE $search_segments SET n_messages = n_messages - 1")
      assert_sound(store)
      local no, yes = "0", "1"
      if database.server_database then no, yes = "false", "true" end
      run(database, "UPDATE $conversations SET search_pending = " .. no .. " WHERE id = '%s'", chat.id)
      assert_found(store, "search", chat.id, "messages that count as indexed and are not: 7")
      run(database, "UPDATE $conversations SET search_pending = " .. yes .. " WHERE id = '%s'", chat.id)
      assert_sound(store)
    end)

    it("looks into the search index: what it lost, and what cannot be read", function()
      local store, database, known = indexed()
      local bytes = database.server_database and "'\\x%s'" or "x'%s'"
      local function damaged(words)
        assert_found(store, "search", known.id, 'user "carol": segment %d+ is damaged: ' .. words)
      end
      local function mend(name)
        run(database, "DELETE FROM $" .. name)
        put_back(database, name)
        assert_sound(store)
        keep(database, name)
      end
      keep(database, "search_postings")
      run(database, "DELETE FROM $search_postings")
      damaged("words of 300 of its messages are not in it$")
      mend("search_postings")
      -- Each message has one word of its own, its number, which are spread over the buckets.
      run(database, "DELETE FROM $search_postings WHERE bucket = (SELECT max(bucket) FROM $search_postings)")
      damaged("words of %d+ of its messages are not in it$")
      mend("search_postings")
      for _, case in ipairs({
        { "", "postings are of no known version" },
        { "02", "postings are of no known version" },
        { "0105666f", "a term is cut off" },
        { "01016105", "a term's postings are cut off" },
      }) do
        run(database, "UPDATE $search_postings SET postings = " .. bytes:format(case[1])
          .. " WHERE bucket = (SELECT min(bucket) FROM $search_postings)")
        damaged(case[2])
        mend("search_postings")
      end
      -- Whole, but somewhere else.
      run(database, "DELETE FROM $search_postings WHERE bucket = (SELECT max(bucket) FROM $search_postings);"
        .. " UPDATE $search_postings SET bucket = bucket + 1000"
        .. " WHERE bucket = (SELECT max(bucket) FROM $search_postings)")
      damaged("a term is in another bucket than its own")
      mend("search_postings")
      run(database, "DROP TABLE kept_search_postings")
      local messages = {
        [""] = "a list of messages is of no known version", ["01"] = "a list of messages has a wrong length",
        ["010101"] = "a list of messages has a wrong length",
        ["0101010000"] = "a list of messages has a wrong length",
      }
      local stored = database:sql(database.server_database
        and "SELECT encode(messages, 'hex') FROM convstore.search_segments"
        or "SELECT hex(messages) FROM convstore_search_segments"):match("%x+")
      messages[stored:sub(1, -3)] = "a list of messages makes no sense"
      for blob, words in pairs(messages) do
        run(database, "UPDATE $search_segments SET messages = " .. bytes:format(blob))
        damaged(words)
        run(database, "UPDATE $search_segments SET messages = " .. bytes:format(stored))
        assert_sound(store)
      end
      -- A search makes it anew from the messages where it meets damage.
      run(database, "UPDATE $search_postings SET postings = " .. bytes:format("02"))
      damaged("postings are of no known version")
      assert.equal(1, #searches.found(store:user("carol"), '"number 7"'))
      assert_sound(store)
    end)

    it("looks into every segment, whosever it is", function()
      local store, database = fresh()
      local names = {}
      for i = 1, 11 do -- more than are read at once
        local name = ("user %02d"):format(i)
        local user = store:user(name)
        assert(assert(user:conversation("k")):append_many(searches.filler(searches.ENOUGH)))
        assert(user:search("filler", { limit = 1 }))
        names[i] = name
      end
      assert.equal(#names, database:count("search_segments"))
      assert_sound(store)
      run(database, "DELETE FROM $search_postings WHERE bucket >= 64")
      local list = assert(store:check())
      assert.equal(#names, #list)
      local users = {}
      for i, problem in ipairs(list) do
        users[i] = problem.detail:match('^user "(user %d+)": segment %d+ is damaged: words of')
      end
      table.sort(users)
      assert.same(names, users)
    end)

    it("finds summaries of messages that are not there", function()
      local store, database, chat = seven()
      assert(chat:summarize("a", { through = 3 }))
      assert(chat:summarize("b", { through = 7 }))
      run(database, "UPDATE $summaries SET through = 8 WHERE ordinal = 2")
      assert_found(store, "summary", chat.id,
        'user "alice": a summary stands for messages up to 8, and the last is 7')
      run(database, "UPDATE $summaries SET through = 7 WHERE ordinal = 2")
      assert_sound(store)
    end)

    it("finds users that a host has deleted while it did not mind foreign keys", function()
      local database = backend.place()
      T = function(name) return database:table(name) end
      database:sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY); INSERT INTO accounts VALUES (7), (8);")
      local store = database:open({ users = "accounts(id)" })
      local chat = assert(store:user(7):conversation("k"))
      assert(chat:append_many(batch(3)))
      assert(store:user(8):create())
      assert_sound(store)
      if database.server_database then
        database:sql("ALTER TABLE convstore.conversations DISABLE TRIGGER ALL")
        assert_found(store, "foreign_keys", nil, "the foreign key conversations_user_id_fkey is switched off")
        database:sql("ALTER TABLE convstore.conversations ENABLE TRIGGER ALL")
      else
        run(database, "DELETE FROM accounts WHERE id = 7")
        assert_found(store, "foreign_keys", chat.id, 'user "7" is not in accounts')
        run(database, "INSERT INTO accounts VALUES (7)")
      end
      assert_sound(store)
    end)

    it("gives problems by their words, at most 1,000, and then says that there are more", function()
      local store, database, chat = seven()
      local time = database.server_database and "now()" or "1"
      local id = database.server_database
        and "CAST('00000000-0000-7000-8000-' || lpad(i::text, 12, '0') AS uuid)"
        or "printf('00000000-0000-7000-8000-%%012d', i)"
      local add = "INSERT INTO $conversations (user_id, id, last_seq, created_at, updated_at)"
        .. " WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        .. " SELECT 'carol', " .. id .. ", 1, " .. time .. ", " .. time .. " FROM n"
      assert(chat:summarize("x"))
      run(database, "UPDATE $summaries SET through = 9")
      run(database, add, 1, 999)
      local list = assert(store:check())
      assert.equal(1000, #list)
      for i = 1, 999 do
        assert.equal("counter", list[i].problem)
        assert.equal(("00000000-0000-7000-8000-%012d"):format(i), list[i].conversation_id)
      end
      assert.equal("summary", list[1000].problem)
      run(database, add, 1000, 1003)
      list = assert(store:check())
      assert.equal(1001, #list)
      assert.equal("counter", list[1000].problem)
      assert.same({ problem = "more", detail = list[1001].detail }, list[1001])
      run(database, "DELETE FROM $conversations WHERE user_id = 'carol'; UPDATE $summaries SET through = 7")
      assert_sound(store)
    end)

    it("finds each index that is missing", function()
      local store, database = seven()
      store:close()
      local list = database.server_database and [[
        SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE c.relnamespace = 'convstore'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_constraint k
                            WHERE k.conindid = c.oid AND k.contype IN ('p', 'u'));]]
        or [[SELECT name, replace(sql, char(10), ' ') FROM sqlite_schema
              WHERE type = 'index' AND name LIKE 'convstore%' AND sql IS NOT NULL;]]
      local n = 0
      for name, definition in database:sql(list):gmatch("([^|\n]+)|([^\n]+)\n") do
        database:sql(("DROP INDEX %s%s;"):format(database.server_database and "convstore." or "", name))
        local other = database:open()
        assert_found(other, "schema", nil, ("the index %s is missing"):format(name))
        database:sql(definition .. ";")
        assert_sound(other)
        other:close()
        n = n + 1
      end
      assert.is_true(n >= 13, n .. " indexes")
    end)

    it("has nothing to say of what others are writing", function()
      local store, database = fresh()
      local alice = store:user("alice")
      for _, key in ipairs({ "common", "own a", "own b" }) do assert(alice:conversation(key)) end
      local workers = {}
      for i, name in ipairs({ "a", "b" }) do
        workers[i] = database:start("search_and_append", { name, 10 })
      end
      local n, last = 0
      repeat -- until they have been seen at work, and have finished
        assert_sound(store)
        n, last = n + 1, assert(store:stats()).messages
      until last == 800 or n == 1000
      for _, worker in ipairs(workers) do
        local _, ok, errors = worker:finish()
        assert.is_true(ok, errors)
      end
      assert_sound(store)
      assert.is_true(n > 2)
    end)

    it("holds nobody up, and is held up by nobody", function()
      local store, database, chat = seven()
      local reader = database:open({ readonly = true })
      assert(reader:transaction(function()
        assert_sound(reader)
        assert(chat:append("user", "while the reader's transaction is open"))
        assert_sound(reader)
        return true
      end))
      local lock = database:hold()
      assert_sound(store)
      assert_sound(reader)
      lock:release()
    end)
  end)
end
