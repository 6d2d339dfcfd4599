-- Turns a backend's migrations into C: csrc/BACKEND/migrations/NNNN_name.{up,down}.sql -> csrc/BACKEND/migrations.inc.
-- Usage: lua5.4 tools/embed_sql.lua BACKEND, in the root of the source tree.
--
-- The SQL stays plain files that psql, sqlite3 and reviewers can read. The result is committed, because LuaRocks'
-- builtin build compiles files but cannot make them; CI makes it again and wants no difference.
-- It knows nothing of SQL: bytes go in, string literals come out.

local backend = arg[1]
if not backend or not backend:match("^[%w_]+$") or arg[2] then
  io.stderr:write("usage: lua5.4 tools/embed_sql.lua BACKEND\n")
  os.exit(2)
end

local folder = "csrc/" .. backend .. "/migrations"
local target = "csrc/" .. backend .. "/migrations.inc"

local function fail(...)
  io.stderr:write("embed_sql: ", string.format(...), "\n")
  os.exit(1)
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then fail("%s is missing", path) end
  local bytes = file:read("a")
  file:close()
  if bytes:find("\0", 1, true) then fail("%s has a NUL byte, which no C string can hold", path) end
  return bytes
end

-- FNV-1a, 64 bits: it tells an edited step from the released one; it need not resist forgery.
local function checksum(bytes)
  local hash = 0xcbf29ce484222325
  for i = 1, #bytes do
    hash = (hash ~ bytes:byte(i)) * 0x100000001b3
  end
  return string.format("%016x", hash)
end

-- The steps of the folder in order. Refuses gaps, a second step of the same number, and other files.
local function steps()
  local found = {}
  local listing = assert(io.popen("ls " .. folder))
  for file in listing:lines() do
    local digits, name, direction = file:match("^(%d%d%d%d)_([a-z0-9_]+)%.(%l+)%.sql$")
    if direction ~= "up" and direction ~= "down" then
      fail("%s/%s is not named NNNN_name.up.sql or NNNN_name.down.sql", folder, file)
    end
    local version = math.tointeger(tonumber(digits))
    local step = found[version] or { version = version, name = name }
    if step.name ~= name then fail("step %d is both %s and %s", version, step.name, name) end
    found[version] = step
  end
  if not listing:close() then fail("%s cannot be listed", folder) end

  local count = 0
  for version in pairs(found) do count = math.max(count, version) end
  if count == 0 then fail("%s holds no steps", folder) end
  for version = 1, count do
    local step = found[version]
    if not step then fail("step %d is missing", version) end
    local stem = string.format("%s/%04d_%s", folder, version, step.name)
    step.up, step.down = read(stem .. ".up.sql"), read(stem .. ".down.sql")
    step.checksum = checksum(step.up .. "\0" .. step.down)
  end
  return found
end

-- One literal per line of SQL, so that a diff of the result reads like a diff of the source.
-- Bytes outside printable ASCII go as three octal digits, which no digit that follows can lengthen;
-- question marks are escaped because C11 still has trigraphs.
local function literal(bytes)
  local lines = {}
  for line in bytes:gmatch("[^\n]*\n?") do
    local text = line:gsub("[\\\"?]", "\\%0"):gsub("\n", "\\n"):gsub("[^\x20-\x7e]", function(byte)
      return string.format("\\%03o", byte:byte())
    end)
    if line ~= "" then lines[#lines + 1] = '\n      "' .. text .. '"' end
  end
  return #lines > 0 and table.concat(lines) or ' ""'
end

local out = {
  "/* Made by tools/embed_sql.lua from the files in " .. folder .. "; edit those instead. */",
  "/* C11 promises literals of 4,095 bytes only; the compilers that we support take any length. */",
  "#pragma GCC diagnostic push",
  '#pragma GCC diagnostic ignored "-Woverlength-strings"',
  "static const struct convstore_migration_step " .. backend .. "_steps[] = {",
}
for _, step in ipairs(steps()) do
  out[#out + 1] = "  {"
  out[#out + 1] = string.format("    .version = %d,", step.version)
  out[#out + 1] = string.format('    .name = "%s",', step.name)
  out[#out + 1] = string.format('    .checksum = "%s",', step.checksum)
  out[#out + 1] = "    .up =" .. literal(step.up) .. ","
  out[#out + 1] = "    .down =" .. literal(step.down) .. ","
  out[#out + 1] = "  },"
end
out[#out + 1] = "};"
out[#out + 1] = "#pragma GCC diagnostic pop"

local file = assert(io.open(target, "wb"))
assert(file:write(table.concat(out, "\n"), "\n"))
assert(file:close())
