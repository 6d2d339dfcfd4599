-- examples/http_service.lua as a server that runs, asked by LuaSocket's HTTP client.
local backends = require "spec.support.backends"
local convstore = require "convstore"
local example = require "spec.support.example"
local http = require "socket.http"
local json = require "dkjson"
local ltn12 = require "ltn12"
local shell = require "spec.support.shell"
local socket = require "socket"

http.TIMEOUT = 20

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("the HTTP service, with " .. backend.name .. " " .. backend.tags, function()
      local store, database, service, port

      before_each(function()
        store, database = backend.fresh()
        shell.write(database.folder .. "/tokens", "token-of-alice alice\ntoken-of-bob\tbob\n")
        port = example.free_port()
        local arguments = { "tokens", port, database.dsn }
        service = example.start(database.folder, "examples/http_service.lua", arguments)
        example.wait_for_port(port)
      end)

      after_each(function()
        service:kill()
        service:finish()
        backends.clean()
      end)

      -- The status and the decoded answer.
      local function ask(who, path, body)
        local parts = {}
        local _, status = assert(http.request({
          url = ("http://127.0.0.1:%d%s"):format(port, path),
          method = body and "POST" or "GET",
          headers = {
            authorization = who and "Bearer token-of-" .. who, ["content-length"] = body and #body,
          },
          source = body and ltn12.source.string(body),
          sink = ltn12.sink.table(parts),
        }))
        return status, assert(json.decode(table.concat(parts)))
      end

      local function good(...)
        local status, answer = ask(...)
        assert.equal(200, status, answer.error)
        return answer
      end

      -- All items of all pages, and how many pages there were.
      local function all(who, path)
        local items, pages, cursor = {}, 0, nil
        repeat
          local answer = good(who, path .. (cursor and "&cursor=" .. cursor or ""))
          table.move(answer.items, 1, #answer.items, #items + 1, items)
          pages, cursor = pages + 1, answer.cursor
        until not cursor
        return items, pages
      end

      it("gives each token its own user, in pages", function()
        local alice = store:user("alice")
        for i = 1, 7 do
          local chat = assert(alice:conversation("chat " .. i))
          local metadata = { none = convstore.null, list = convstore.array({}) }
          assert(chat:append("user", "number " .. i, { metadata = metadata }))
        end
        local listed, pages = all("alice", "/conversations?limit=3")
        assert.same({ 7, 3 }, { #listed, pages })
        local found
        found, pages = all("alice", "/search?limit=2&q=number+%22number%22")
        assert.same({ 7, 4 }, { #found, pages })

        local path = "/conversations/" .. assert(alice:conversation("chat 7")).id .. "/messages"
        for i = 1, 5 do
          good("alice", path, json.encode({ content = "line " .. i }))
        end
        local messages
        messages, pages = all("alice", path .. "?limit=4")
        assert.same({ 6, 2 }, { #messages, pages })
        assert.same({ "line 2", "line 5", "number 7", "line 1" },
          { messages[1].content, messages[4].content, messages[5].content, messages[6].content })
        local _, text = shell.run(("curl -s --noproxy '*' -H 'Authorization: Bearer token-of-alice' " ..
          "'http://127.0.0.1:%d%s?limit=1&cursor=2'"):format(port, path))
        assert.truthy(text:find('"metadata":{"list":[],"none":null}', 1, true) or
          text:find('"metadata":{"none":null,"list":[]}', 1, true), text)

        assert.same({}, good("bob", "/conversations?limit=3").items)
        assert.same({}, good("bob", "/search?q=number").items)
        for _, body in ipairs({ false, '{"content":"mine now"}' }) do
          assert.equal(404, (ask("bob", path, body or nil)))
        end
        assert.equal(401, (ask("mallory", path)))
        assert.equal(401, (ask(nil, path)))
      end)

      it("stores a message once that is sent again, and makes a conversation once", function()
        local chat = good("bob", "/conversations", '{"key":"support"}')
        assert.equal(chat.id, good("bob", "/conversations", '{"key":"support"}').id)
        local path = "/conversations/" .. chat.id .. "/messages"
        local body = json.encode({ content = "Grüße", id = convstore.uuid() })
        assert.same(good("bob", path, body), good("bob", path, body))
        assert.equal(409, (ask("bob", path, (body:gsub("Gr", "gr")))))
        assert.equal(1, #good("bob", path).items)
        assert.equal("user", good("bob", path).items[1].role)
      end)

      it("says which requests are none, and goes on", function()
        local chat = good("bob", "/conversations", '{"key":"support"}')
        local path = "/conversations/" .. chat.id .. "/messages"
        for _, case in ipairs({
          { 400, "/conversations?limit=0" }, { 400, "/conversations?limit=many" },
          { 400, "/conversations?cursor=none" },
          { 404, "/" }, { 400, "/conversations/none/messages" }, { 400, path .. "?cursor=x" },
          { 400, path, "no JSON" }, { 400, path, "5" }, { 400, path, '{"content":5}' }, { 400, path, "{}" },
          { 400, path, '{"content":"a","id":5}' }, { 400, path, '{"content":"a","id":"a"}' },
          { 400, path, '{"content":"\\u0000"}' },
          { 413, path, json.encode({ content = ("a"):rep(2 ^ 20 + 1) }) },
        }) do
          local status = ask("bob", case[2], case[3])
          assert.equal(case[1], status, case[2] .. " " .. (case[3] or ""):sub(1, 80))
        end
        local connection = assert(socket.connect("127.0.0.1", port))
        connection:settimeout(20)
        assert(connection:send("nonsense\r\n\r\n"))
        assert.truthy(connection:receive("*l"):find(" 401 ", 1, true))
        connection:close()
        assert.same({}, good("bob", path).items)
      end)

      it("serves others while one is slow, and asks to come again where the database is busy", function()
        local slow = assert(socket.connect("127.0.0.1", port))
        assert(slow:send("GET /conversations HTTP/1.1\r\n"))
        local chat = good("bob", "/conversations", '{"key":"support"}')
        slow:close()
        local path = "/conversations/" .. chat.id .. "/messages"
        local body = json.encode({ content = "hello", id = convstore.uuid() })
        local held = database:hold()
        local status, answer = ask("bob", path, body)
        held.release()
        assert.equal(503, status)
        assert.truthy(answer.code == "busy" or answer.code == "timeout", answer.error)
        good("bob", path, body)
        assert.equal(1, #good("bob", path).items)
        database:assert_sound()
      end)
    end)
  end
end
