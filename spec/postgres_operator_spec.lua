-- Work over all users on PostgreSQL: who may, and what the others are told.
local convstore = require "convstore"
local backends = require "spec.support.backends"
local check = require "spec.support.check"
local postgres = require "spec.support.postgres"

if not postgres.is_there() then return end

local FUTURE = os.time() * 1000 + 3600000

describe("the operators' role #postgres", function()
  after_each(backends.clean)

  -- A store with a message of alice's, and one of a login that may take on the users' role only.
  local function fresh(options)
    local store, database = backends.postgres.fresh(options)
    assert(assert(store:user("alice"):conversation("k")):append("user", "x"))
    database:sql("GRANT convstore_user TO bot_guest")
    finally(function()
      database:sql("REVOKE convstore_user, convstore_operator FROM bot_guest")
    end)
    local dsn = database.dsn:gsub("//[^@]*@", "//bot_guest@", 1)
    local guest = assert(convstore.open(dsn))
    database.stores[#database.stores + 1] = guest
    return guest, database, store
  end

  it("is what purge and archive need, and who has it not is told what to grant", function()
    local guest, database = fresh()
    for _, call in ipairs({
      function() return guest:purge({ idle_before = FUTURE }) end,
      function() return guest:archive({ idle_before = FUTURE }) end,
    }) do
      check.fails("denied", "GRANT convstore_operator TO bot_guest", call())
      check.fails("denied", "\"convstore_operator\"", call())
    end
    assert.equal(1, database:count("messages"))
    -- What the login may is as it was.
    local alice = guest:user("alice")
    assert.equal(2, assert(assert(alice:conversation("k")):append("user", "y")).seq)
    assert.same({ conversations = 1, messages = 2 }, assert(alice:erase()))
  end)

  it("is enough once it is granted", function()
    local guest, database = fresh()
    database:sql("GRANT convstore_operator TO bot_guest")
    assert.same({ conversations = 1, messages = 1 }, assert(guest:archive({ idle_before = FUTURE })))
    assert.same({ conversations = 1, messages = 1 }, assert(guest:purge({ idle_before = FUTURE })))
  end)

  it("may be another, and is denied where it does not exist", function()
    local _, database, store = fresh()
    local other = database:open({ operator_role = "nobody's role" })
    check.fails("denied", "nobody's role", other:purge({ idle_before = FUTURE }))
    assert(other:user("alice"):conversation("k"))
    assert.equal(1, assert(store:purge({ idle_before = FUTURE })).conversations)
  end)

  it("is taken on by nothing that erases: that is a user's own business", function()
    local _, database, store = fresh()
    assert(assert(store:user("bob"):conversation("k")):append("user", "x"))
    database:sql([[
      CREATE TABLE public.seen (role text, user_id text);
      GRANT INSERT ON public.seen TO PUBLIC;
      CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO public.seen VALUES (current_user, current_setting('convstore.user_id', true));
          RETURN NULL;
        END $$;
      CREATE TRIGGER spy AFTER UPDATE OR DELETE ON convstore.conversations
        FOR EACH STATEMENT EXECUTE FUNCTION public.see();]])
    assert(store:user("alice"):erase())
    assert.equal("convstore_user|alice\n", database:sql("SELECT DISTINCT role, user_id FROM public.seen"))
    database:sql("TRUNCATE public.seen")
    assert(store:archive({ idle_before = FUTURE }))
    assert(store:purge({ idle_before = FUTURE }))
    assert.equal("convstore_operator|\n",
      database:sql("SELECT DISTINCT role, coalesce(user_id, '') FROM public.seen"))
  end)

  it("waits for what is locked, and then says so", function()
    local _, database, store = fresh()
    local locker = postgres.shell(database, "postgres")
    finally(function()
      locker:close()
      database:sql("REVOKE convstore_user, convstore_operator FROM bot_guest")
    end)
    assert(assert(store:user("bob"):conversation("k")):append("user", "x"))
    locker:run("BEGIN; SELECT id FROM convstore.conversations WHERE user_id = 'alice' FOR NO KEY UPDATE")
    local hasty = database:open({ timeout = 0.5 })
    -- What is free goes all the same.
    check.fails("busy", nil, hasty:archive({ idle_before = FUTURE }))
    assert.equal(1, database:count("messages_archive"))
    check.fails("busy", nil, hasty:purge({ idle_before = FUTURE }))
    assert.equal(1, database:count("conversations"))
    locker:send("SELECT pg_sleep(0.2); COMMIT")
    assert.same({ conversations = 1, messages = 1 }, assert(store:purge({ idle_before = FUTURE })))
  end)
end)
