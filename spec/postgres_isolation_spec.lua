-- Row-level security as the server enforces it, seen by somebody at psql who is not convstore: what stands between two
-- users if a statement of convstore's ever forgot its "user_id =".
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"

if not postgres.is_there() then return end

local SECURED = {
  "conversations", "messages", "messages_archive", "search_postings", "search_runs", "search_segments",
  "summaries",
}

describe("row-level security #postgres", function()
  local database, hers, his

  before_each(function()
    local store
    store, database = backends.postgres.fresh()
    hers = assert(store:user("alice"):conversation("k", { title = "hers" }))
    assert(hers:append("user", "secret of alice"))
    his = assert(store:user("bob"):conversation("k", { title = "his" }))
    assert(his:append("user", "secret of bob"))
    -- Rows in the tables that later work fills, too.
    for _, chat in ipairs({ hers, his }) do
      database:sql(([[
        INSERT INTO convstore.messages_archive SELECT * FROM convstore.messages WHERE user_id = '%s';
        INSERT INTO convstore.summaries
            (user_id, conversation_id, ordinal, through, content, token_count, created_at)
          VALUES ('%s', '%s', 1, 1, 'summary', 1, now());
        WITH s AS (INSERT INTO convstore.search_segments (user_id, conversation_id, n_messages, messages)
          VALUES ('%s', '%s', 1, '') RETURNING user_id, conversation_id, id),
        r AS (INSERT INTO convstore.search_runs (user_id, conversation_id, first_seq, last_seq, segment_id)
          SELECT user_id, conversation_id, 1, 1, id FROM s)
        INSERT INTO convstore.search_postings (user_id, segment_id, bucket, postings)
          SELECT user_id, id, 1, '' FROM s;]]):format(chat.user_id, chat.user_id, chat.id,
        chat.user_id, chat.id))
    end
  end)
  after_each(backends.clean)

  -- What `sql` answers to somebody who has taken on the role, as `user` or as nobody.
  local function as(user, sql)
    return database:sql(([[
      BEGIN;
      SET LOCAL ROLE convstore_user;
      %s
      %s;
      ROLLBACK;]]):format(user and ("SET LOCAL convstore.user_id = '%s';"):format(user) or "", sql))
  end

  -- The same, which must fail with a SQLSTATE.
  local function refused(sqlstate, user, sql)
    local ok, message = pcall(as, user, "\\set VERBOSITY verbose\n" .. sql)
    assert.is_false(ok, message)
    assert.truthy(message:find(sqlstate .. ":", 1, true), message)
  end

  it("is forced on every table that has a user", function()
    local with_user = database:sql([[
      SELECT table_name FROM information_schema.columns
       WHERE table_schema = 'convstore' AND column_name = 'user_id' ORDER BY 1;]])
    local forced = database:sql([[
      SELECT relname FROM pg_class WHERE relnamespace = 'convstore'::regnamespace AND relrowsecurity
         AND relforcerowsecurity AND relkind = 'r' ORDER BY 1;]])
    assert.equal(with_user, forced)
    assert.equal(table.concat(SECURED, "\n") .. "\n", forced)
  end)

  it("shows nothing where no user is set", function()
    for _, name in ipairs(SECURED) do
      assert.equal("2\n", database:sql("SELECT count(*) FROM convstore." .. name))
      assert.equal("0\n", as(nil, "SELECT count(*) FROM convstore." .. name))
      -- What a pooled connection has after somebody's transaction.
      assert.equal("0\n", as("", "SELECT count(*) FROM convstore." .. name))
      assert.equal("0\n", as("mallory", "SELECT count(*) FROM convstore." .. name))
    end
  end)

  it("shows each user their own rows only", function()
    for _, name in ipairs(SECURED) do
      assert.equal("alice\n", as("alice", "SELECT user_id FROM convstore." .. name))
      assert.equal("bob\n", as("bob", "SELECT user_id FROM convstore." .. name))
    end
    assert.equal("secret of bob\n", as("bob", "SELECT content FROM convstore.messages"))
  end)

  it("refuses a forged row", function()
    local forged = {
      "INSERT INTO convstore.conversations (user_id, id, created_at, updated_at)"
        .. " VALUES ('alice', gen_random_uuid(), now(), now())",
      "INSERT INTO convstore.messages SELECT 'alice', conversation_id, 2, gen_random_uuid(), role, content,"
        .. " parts, name, tool_calls, tool_call_id, attachments, metadata, token_count, token_total,"
        .. " created_at FROM convstore.messages",
      "INSERT INTO convstore.summaries"
        .. " (user_id, conversation_id, ordinal, through, content, token_count, created_at)"
        .. (" VALUES ('alice', '%s', 2, 1, 'forged', 1, now())"):format(hers.id),
      "UPDATE convstore.conversations SET user_id = 'alice'",
      "UPDATE convstore.messages SET user_id = 'alice'",
    }
    for _, sql in ipairs(forged) do
      refused("42501", "bob", sql)
    end
    -- Without a user there is no row to make another of, but one may still be given whole.
    refused("42501", nil, forged[1])
    refused("42501", nil, forged[3])
    assert.equal("2\n", database:sql("SELECT count(*) FROM convstore.messages"))
  end)

  it("lets nobody touch another's rows", function()
    local before = database:dump()
    for _, name in ipairs(SECURED) do
      for _, user in ipairs({ "bob", "mallory", false }) do
        local touch = "WITH t AS (%s convstore.%s %s WHERE user_id = 'alice' RETURNING 1)"
          .. " SELECT count(*) FROM t"
        assert.equal("0\n", as(user, touch:format("UPDATE", name, "SET user_id = user_id")))
        assert.equal("0\n", as(user, touch:format("DELETE FROM", name, "")))
      end
    end
    assert.equal("1\n", as("alice",
      "WITH t AS (UPDATE convstore.messages SET content = 'x' RETURNING 1) SELECT count(*) FROM t"))
    assert.equal(before, database:dump())
  end)

  it("leaves a message in another's conversation to the foreign key, which binds superusers too", function()
    local sql = ([[\set VERBOSITY verbose
      INSERT INTO convstore.messages
        (user_id, conversation_id, seq, id, role, content, token_count, token_total, created_at)
      VALUES ('bob', '%s', 1, gen_random_uuid(), 'user', 'x', 1, 1, now());]]):format(hers.id)
    local ok, message = pcall(database.sql, database, sql)
    assert.is_false(ok)
    assert.truthy(message:find("23503:", 1, true), message)
  end)

  it("gives nothing to a login that has taken on no role", function()
    local guest = postgres.shell(database, "bot_guest")
    finally(function() guest:close() end)
    for _, name in ipairs(SECURED) do
      local ok, message = pcall(guest.run, guest, "SELECT count(*) FROM convstore." .. name)
      assert.is_false(ok)
      assert.truthy(message:find("permission denied", 1, true), message)
    end
  end)

  it("binds a login that inherits from the roles", function()
    database:sql("GRANT convstore_user, convstore_operator TO bot_guest")
    finally(function()
      database:sql("REVOKE convstore_user, convstore_operator FROM bot_guest")
    end)
    local guest = postgres.shell(database, "bot_guest")
    for _, name in ipairs(SECURED) do
      assert.equal("0\n", guest:run("SELECT count(*) FROM convstore." .. name))
      -- Only who takes the operators' role on sees everybody.
      assert.equal("2\n", guest:run(
        "BEGIN; SET LOCAL ROLE convstore_operator; SELECT count(*) FROM convstore." .. name .. "; ROLLBACK"))
    end
    guest:close()
  end)

  it("is there for a superuser's login in every call", function()
    -- The policies are the only thing between this store and bob: its statements are told to be alice's.
    local spy = database:sql([[
      CREATE TABLE public.seen (role text, user_id text);
      GRANT INSERT ON public.seen TO PUBLIC;
      CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO public.seen VALUES (current_user, current_setting('convstore.user_id', true));
          RETURN NULL;
        END $$;
      CREATE TRIGGER spy AFTER INSERT OR UPDATE OR DELETE ON convstore.conversations
        FOR EACH STATEMENT EXECUTE FUNCTION public.see();
      CREATE TRIGGER spy AFTER INSERT OR UPDATE OR DELETE ON convstore.messages
        FOR EACH STATEMENT EXECUTE FUNCTION public.see();]])
    assert.equal("", spy)
    assert(hers:append("user", "x"))
    assert(hers:append_many({ { role = "user", content = "y" }, { role = "assistant", content = "z" } }))
    assert(hers:update({ title = "T" }))
    assert(hers:annotate(1, { a = 1 }))
    assert(hers:redact(1))
    assert(hers:delete())
    assert(hers:restore())
    -- What goes by the cascade goes in the name of the table's owner.
    database:sql("DROP TRIGGER spy ON convstore.messages")
    assert(hers:purge())
    assert.equal("convstore_user|alice\n", database:sql("SELECT DISTINCT role, user_id FROM public.seen"))
  end)

  it("is off with role = false, where the statements alone tell users apart", function()
    local store = database:open({ role = false })
    local chat = assert(store:user("alice"):conversation("k"))
    assert.equal(hers.id, chat.id)
    assert.equal(2, assert(chat:append("user", "x")).seq)
    check.fails("not_found", nil, store:user("alice"):get(his.id))
    check.fails("not_found", nil, store:user("bob"):get(hers.id))
    -- The rows that lie in both tables here are counted twice.
    for user, own in pairs({ alice = hers, bob = his }) do
      local handle = store:user(user)
      for _, deleted in ipairs({ false, "any" }) do
        for _, order in ipairs({ "updated", "created" }) do
          local list = assert(handle:list({ deleted = deleted, order = order }))
          assert.equal(1, #list)
          assert.equal(own.id, list[1].id)
        end
      end
      assert.same({}, assert(handle:list({ deleted = true, order = "created" })))
      for _, message in ipairs(assert(handle:messages())) do
        assert.equal(own.id, message.conversation_id)
      end
      local by = assert(handle:usage({ by = "conversation" }))
      assert.equal(1, #by)
      assert.equal(own.id, by[1].conversation_id)
      assert.equal(1, assert(handle:usage()).conversations)
    end
    local fork = assert(chat:fork({ at = 0, id = his.id }))
    assert.equal("alice", fork.user_id)
    assert.equal("his", assert(store:user("bob"):get(his.id)).title)
  end)

  it("takes the user from a claim where the schema was made so", function()
    database:sql("DROP SCHEMA convstore CASCADE")
    local store = database:open({ jwt_claim = "sub" })
    local chat = assert(store:user("alice"):conversation("k"))
    assert(chat:append("user", "x"))
    assert(store:user("bob"):conversation("k"))
    local function claim(claims)
      return as(nil, ("SET LOCAL request.jwt.claims = '%s'; %s"):format(claims,
        "SELECT user_id FROM convstore.conversations"))
    end
    assert.equal("alice\n", claim('{"sub": "alice", "role": "authenticated"}'))
    assert.equal("bob\n", claim('{"sub": "bob"}'))
    assert.equal("", claim("{}"))
    assert.equal("", claim(""))
    assert.equal("", as("alice", "SELECT user_id FROM convstore.conversations"))
    -- What the schema was made with is remembered; another wish is refused.
    assert(database:open({ jwt_claim = "sub" }):user("alice"):get(chat.id))
    check.fails("schema", "jwt_claim", database:try_open({ jwt_claim = "email" }))
  end)

  it("survives ids that look like SQL", function()
    local store = database:open()
    for _, id in ipairs({ "x'; RESET ROLE; --", "alice' OR '1'='1", "\\", "$$", "%s", "{{schema}}",
      "a\nb" }) do
      local chat = assert(store:user(id):conversation("k"))
      assert(chat:append("user", id))
      assert.equal(id, assert(chat:message(1)).content)
      assert.equal(1, chat.last_seq)
    end
    assert.equal("secret of alice", assert(hers:message(1)).content)
  end)
end)
