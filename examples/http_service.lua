-- Conversations over HTTP, for an app or a web page: one user for each token, pages by cursors. Needs cqueues, dkjson.
-- lua5.4 examples/http_service.lua TOKENS [PORT [DSN]]; TOKENS is a file, each line of it a token and a user's id.
--   GET  /conversations?limit=20       {"items":[…],"cursor":"…"}; the next page with &cursor=…; no cursor: the last
--   GET  /search?q=…, GET /conversations/ID/messages   likewise; pages of messages go backwards
--   POST /conversations                {"key":"support"}: the conversation of that name, made on first use
--   POST /conversations/ID/messages    {"content":"Hello","id":"…"}: after a 503 or no answer, again with the same id
-- It serves this machine alone; TLS and limits of rate are the proxy's in front of it. A call of the database blocks
-- all connections for a disk's or a round trip's time, at most for `timeout`. For more, run several.
local cqueues, socket = require "cqueues", require "cqueues.socket"
local convstore, json = require "convstore", require "dkjson"
local store <close> = assert(convstore.open(arg[3], { timeout = 2 }))
local users, routes, tokens = {}, {}, assert(io.open(arg[1] or "tokens"))
for token, id in tokens:read("a"):gmatch("(%S+)[ \t]+(%S+)") do users[token] = store:user(id) end
local function try(value, problem, code) -- like assert, for the pcall below
  return value or error({ error = problem, code = code }), problem
end

-- These return what the library does: a value (and a cursor), or nil, a message and a code. A wrong type raises.
routes["GET /conversations"] = function(user, query) return user:list(query.page) end
routes["GET /search"] = function(user, query) return user:search(query.q or "", query.page) end
routes["GET /conversations/*/messages"] = function(user, query, _, id) -- the cursor of its pages is a seq
  local before = query.cursor and try(math.tointeger(tonumber(query.cursor)), "invalid: no cursor", "invalid")
  local messages = try(try(user:get(id)):history{ before = before, limit = query.page.limit or 20 })
  return messages, messages[1] and messages[1].seq > 1 and tostring(messages[1].seq) or nil
end
routes["POST /conversations"] = function(user, _, body)
  local chat = try(user:conversation(body.key))
  return { id = chat.id, key = chat.key, last_seq = chat.last_seq }
end
routes["POST /conversations/*/messages"] = function(user, _, body, id) -- a client speaks for no other role
  return try(user:get(id)):append("user", body.content, { id = body.id })
end

local function answer(connection)
  local headers, query = {}, {}
  local method, path, search = connection:read("*l"):match("^(%u+) ([^? ]+)%??(%S*) HTTP/1%.")
  for _ = 1, 100 do
    local name, value = connection:read("*l"):match("^([^:]+):%s*(.-)%s*$")
    if not name then break end
    headers[name:lower()] = value
  end
  local user = users[(headers.authorization or ""):match("^Bearer (%S+)$")]
  try(user, "unauthorized: this wants the header Authorization: Bearer TOKEN", "unauthorized")
  for key, value in search:gmatch("([^&=]+)=([^&]*)") do
    query[key] = value:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char("0x" .. hex) end)
  end
  query.page = { cursor = query.cursor, limit = query.limit and (math.tointeger(tonumber(query.limit)) or 0) }
  local length = tonumber(headers["content-length"] or 0)
  try(length <= 2 ^ 20, "too_large: a body has at most 1 MiB", "too_large")
  local body = method == "POST" and json.decode(connection:read(length), 1, convstore.null)
  local id = path:match("^/conversations/([^/]+)/messages$")
  local route = routes[method .. " " .. (id and "/conversations/*/messages" or path)]
  local result, cursor = try(try(route, "not_found: no such page", "not_found")(user, query, body, id))
  return method == "GET" and { items = convstore.array(result), cursor = cursor } or result
end
local STATUS = { unauthorized = 401, invalid = 400, not_found = 404, conflict = 409, too_large = 413,
  busy = 503, timeout = 503, unavailable = 503 }
local HEAD = "HTTP/1.0 %d \r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
local loop, server = cqueues.new(), assert(socket.listen("127.0.0.1", tonumber(arg[2] or 8080)))
local function serve(connection)
  connection:settimeout(10)
  connection:setmode("b", "bn")
  local ok, result = pcall(answer, connection)
  local status = ok and 200 or STATUS[result.code] or result.code and 500 or 400 -- a string: it raised
  if not ok and not STATUS[result.code] then -- for the log, and not for the client
    io.stderr:write(result.error or result, "\n")
    result = { error = status == 400 and "invalid: this is no such request" or "internal: this did not work" }
  end
  local text = json.encode(result, { exception = function() return "null" end }) -- convstore.null
  connection:write(HEAD:format(status, #text), text)
  connection:shutdown("w")
  while connection:read(-65536) do end -- a body that was not read takes the answer with it
end
loop:wrap(function()
  for connection in server:clients() do
    loop:wrap(function() pcall(serve, connection) connection:close() end) -- it raises where the client is gone
  end
end)
assert(loop:loop())
