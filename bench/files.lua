-- The databases that the benchmarks run on.
local convstore = require "convstore"
local data = require "data"
local twin = require "twin"

local files = { folder = os.getenv("BENCH_DIR") or "build/bench/data", user_id = "bench", key = "bench" }

local made = {}

local function remove(path)
  for _, suffix in ipairs{ "", "-wal", "-shm" } do os.remove(path .. suffix) end
end

-- The path of a file that is not there yet.
function files.fresh(name)
  local path = files.folder .. "/" .. name
  remove(path)
  made[#made + 1] = path
  return path
end

-- Removes what was made: together it is more than a gigabyte.
function files.clean()
  for _, path in ipairs(made) do remove(path) end
end

function files.open(path, durability)
  local store = assert(convstore.open(path, { durability = durability }))
  return store, assert(store:user(files.user_id):conversation(files.key))
end

-- Makes a file with n messages in one conversation, whose id is returned.
function files.fill(path, n)
  local store, chat = files.open(path, "normal")
  local batch = data.messages(data.texts(1000))
  for _ = 1, n // 1000 do assert(chat:append_many(batch)) end
  local id = chat.id
  store:close() -- the last connection folds the write-ahead log into the file
  return id
end

function files.copy(from, to)
  local source <close> = assert(io.open(from, "rb"))
  local target <close> = assert(io.open(to, "wb"))
  assert(target:write(source:read("a")))
end

-- Both sides must give the same tables, or they did not do the same work.
local function check_same(chat, c, n)
  local mine, other = assert(chat:history{ limit = n }), c:newest(n)
  assert(#mine == n and #other == n)
  for i = 1, n do
    for field, value in pairs(mine[i]) do assert(other[i][field] == value, field) end
    for field in pairs(other[i]) do assert(mine[i][field] ~= nil, field) end
  end
end

-- Calls work(conversation, twin) on two files of the same bytes with n messages in one conversation.
function files.with_pair(name, n, durability, work)
  local path, twin_path = files.fresh(name .. ".db"), files.fresh(name .. "-twin.db")
  local id = files.fill(path, n)
  files.copy(path, twin_path)
  local c = twin.open(twin_path, files.user_id, id, durability)
  local store, chat = files.open(path, durability)
  check_same(chat, c, n)
  work(chat, c)
  store:close()
  c:close()
end

return files
