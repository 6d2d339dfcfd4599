-- What this process owns at a moment of rest, when nothing is open but the world's three stores. See judge.lua for what
-- is made of it.
local lfs = require "lfs"
local system = require "system"
local count_entries = require "spec.soak.entries"

local sample = {}

local PAGE = 4096 -- of /proc/self/statm

local function count(folder)
  local n = 0
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then n = n + 1 end
  end
  return n
end

function sample.count_descriptors()
  return count("/proc/self/fd")
end

-- How many prepared statements the connection with most has, and how many of these are there twice.
local function sqlite_statements(probe)
  local most, twice = 0, 0
  local connections = probe.statements()
  for _, statements in ipairs(connections) do
    local seen = {}
    for _, sql in ipairs(statements) do
      if seen[sql] then twice = twice + 1 end
      seen[sql] = true
    end
    most = math.max(most, #statements)
  end
  return most, twice, #connections
end

-- A server tells a session's statements to that session alone, and a store runs no SQL of ours: a trigger does.
local SPY = [[
CREATE TABLE public.soak_statements (pid integer, n bigint, twice bigint);
GRANT INSERT ON public.soak_statements TO PUBLIC;
CREATE FUNCTION public.soak_spy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.title = 'plant' THEN
    EXECUTE format('PREPARE %I AS SELECT 1', 'planted_' || clock_timestamp());
  END IF;
  INSERT INTO public.soak_statements
    SELECT pg_backend_pid(), count(*),
      count(*) - count(DISTINCT regexp_replace(statement, '^PREPARE .* AS ', '')) FROM pg_prepared_statements;
  RETURN NULL;
END $$;
CREATE TRIGGER soak_spy AFTER UPDATE ON convstore.conversations
  FOR EACH ROW WHEN (NEW.key = 'canary') EXECUTE FUNCTION public.soak_spy();]]

function sample.prepare(world)
  if world.admin then world.admin:run(SPY) end
end

-- Makes each of the three stores use its connection, so that all are connected.
local function touch(world, title)
  for _, name in ipairs({ "main", "other", "hasty" }) do
    local chat, message
    for _ = 1, 100 do -- the hasty one may need several tries
      chat, message = world[name]:user("canary"):conversation("canary")
      if chat then chat, message = chat:update({ title = title }) end
      if chat then break end
    end
    assert(chat, message)
  end
end

local function postgres_statements(world)
  local most, twice = world.admin:run("SELECT max(n), max(twice) FROM public.soak_statements; "
    .. "TRUNCATE public.soak_statements"):match("^(%d+)|(%d+)")
  local idle
  for _ = 1, 100 do -- a server needs a moment to see that a client is gone
    idle = tonumber(world.admin:run("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
      .. " AND state LIKE 'idle in transaction%'"))
    if idle == 0 then break end
    system.sleep(0.05)
  end
  return tonumber(most), tonumber(twice), idle
end

-- Tables for n samples, made ahead: what measures must not grow either.
function sample.make(n)
  local samples = {}
  for i = 1, n do
    samples[i] = { cycle = 0, heap = 0, lua = 0, entries = 0, caches = 0, rss = 0, descriptors = 0,
      threads = 0, connections = 0, statements = 0, twice = 0, idle_in_transaction = 0 }
  end
  return samples
end

-- Fills `taken`. `plant`: a leak to make first, for the spec: "statement" (the others are main.lua's).
function sample.take(taken, world, probe, cycle, plant)
  collectgarbage()
  collectgarbage()
  touch(world, plant == "statement" and "plant" or "")
  taken.cycle = cycle
  if world.backend == "sqlite" then
    if plant == "statement" then probe.plant_statement() end
    taken.statements, taken.twice, taken.connections = sqlite_statements(probe)
  else
    taken.statements, taken.twice, taken.idle_in_transaction = postgres_statements(world)
  end
  collectgarbage()
  collectgarbage()
  taken.entries = count_entries()
  collectgarbage()
  local heap, caches = probe.memory()
  taken.heap, taken.caches = heap - caches, caches
  taken.lua = math.floor(collectgarbage("count") * 1024)
  local statm = assert(io.open("/proc/self/statm"))
  taken.rss = tonumber(statm:read("a"):match("^%d+ (%d+)")) * PAGE
  statm:close()
  taken.descriptors = sample.count_descriptors()
  taken.threads = count("/proc/self/task")
end

return sample
