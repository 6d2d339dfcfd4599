-- The judge of `make faults` is judged: a sound database with all kinds of units passes, and each way to break it by
-- plain SQL is found and called by its name. Then what surrounds it: torn lines, replays, the printed line.
local backends = require "spec.support.backends"
local checker = require "spec.faults.checker"
local ledger = require "spec.faults.ledger"
local plan = require "spec.faults.plan"
local run = require "spec.faults.run"
local sender = require "spec.faults.sender"
local shell = require "spec.support.shell"

local UNITS, WRITERS = 16, 3

local function kinds_of(found)
  local kinds = {}
  for _, one in ipairs(found) do kinds[one.kind] = one.detail end
  return kinds
end

describe("the ledger of make faults", function()
  it("counts only lines that were said to their end", function()
    local log = ledger.new()
    local last, open = log:read(1, "try 1\nack 1 1 2\ntry 2\nack 2 3")
    assert.equal(2, last)
    assert.is_true(open)
    assert.same({ 1, 2 }, log.acknowledged[1][1])
    assert.is_nil(log.acknowledged[1][2])
    assert.equal(1, log.n_acknowledged)
    assert.same({}, log.complaints)
  end)

  it("does not take a replay of an old unit for the last one", function()
    local log = ledger.new()
    assert.equal(9, (log:read(1, "try 9\nack 9 1\ntry 3\n")))
  end)

  it("notices what cannot be", function()
    for _, output in ipairs({ "ack 1 1\n", "try 1\nack 1 1\nack 1 2\n", "try 1\nack 1\n", "hello\n" }) do
      local log = ledger.new()
      log:read(1, output)
      assert.equal(1, #log.complaints, output)
    end
  end)
end)

for _, backend in ipairs(backends) do
  if backend.shared then
    local tags = backend.tags:gsub("#backend", "")
    describe("the checker of make faults on " .. backend.name .. " " .. tags, function()
      local sound, database, log, units, messages, conversations

      -- A database with acknowledged units of all kinds, and some that were undone.
      before_each(function()
        local store
        store, database = backend.fresh()
        sound = plan.new({ seed = 18, users = 2, keys = 3 })
        log, units = ledger.new(), {}
        for writer = 1, WRITERS do
          local sends = sender.new(store, sound:user(writer))
          for number = 1, UNITS do
            local unit = sound:unit(writer, number)
            unit.writer, unit.number = writer, number
            units[#units + 1] = unit
            sends:settle(number, unit, function(line) log:line(writer, line) end, error)
          end
        end
        messages, conversations = database:table("messages"), database:table("conversations")
      end)

      after_each(backends.clean)

      local function judge()
        local dialect = database.path and "sqlite" or "postgres"
        local place = { dialect = dialect, sql = function(text)
          return database:sql(dialect == "sqlite" and text .. ";" or text)
        end }
        return checker.judge(place, sound, log)
      end

      -- The first acknowledged unit of a kind, and its middle part.
      local function pick(kind)
        for _, unit in ipairs(units) do
          if unit.kind == kind and not unit.undone then
            return unit, unit.parts[(#unit.parts + 1) // 2]
          end
        end
      end

      local function sql(text, ...)
        database:sql(text:format(...) .. ";")
      end

      -- Takes one message away with a hand that puts everything else in order: counters, totals and seq.
      local function remove_neatly(id)
        sql([[UPDATE %s SET last_seq = last_seq - 1, token_count = token_count -
            (SELECT token_count FROM %s WHERE id = '%s')
          WHERE id = (SELECT conversation_id FROM %s WHERE id = '%s')]], conversations, messages, id,
          messages, id)
        sql("DELETE FROM %s WHERE id = '%s'", messages, id)
      end

      it("finds nothing in a sound one", function()
        local found, n = judge()
        assert.same({}, found)
        assert.equal(log.n_messages, n)
        local kinds, undone = {}, false
        for _, unit in ipairs(units) do
          kinds[unit.kind] = true
          undone = undone or unit.undone
        end
        assert.same({ single = true, batch = true, transaction = true }, kinds)
        assert.is_true(undone)
      end)

      it("names a lost message, and the gap that it leaves", function()
        local _, part = pick("single")
        remove_neatly(part.id)
        local kinds = kinds_of(judge())
        assert.truthy(kinds.lost)
        assert.truthy(kinds.gap)
      end)

      it("names the last message lost, which leaves no gap", function()
        local seq_of = {}
        for _, unit in ipairs(units) do
          for _, part in ipairs(unit.parts) do
            if not unit.undone then seq_of[unit.user .. part.key] = part.id end
          end
        end
        remove_neatly((select(2, next(seq_of))))
        local kinds = kinds_of(judge())
        assert.truthy(kinds.lost)
        assert.is_nil(kinds.gap)
        assert.is_nil(kinds.stranger)
      end)

      it("names a doubled message, under another id", function()
        local _, part = pick("single")
        sql([[INSERT INTO %s (user_id, conversation_id, seq, id, role, content, metadata, token_count,
            token_total, created_at)
          SELECT m.user_id, m.conversation_id, c.last_seq + 1, '00000000-0000-4000-8000-000000000000', m.role,
            m.content, m.metadata, m.token_count, m.token_total, m.created_at FROM %s AS m
            JOIN %s AS c ON c.user_id = m.user_id AND c.id = m.conversation_id WHERE m.id = '%s']], messages,
          messages, conversations, part.id)
        local kinds = kinds_of(judge())
        assert.truthy(kinds.doubled)
        assert.truthy(kinds.stranger)
        assert.truthy(kinds.counter)
      end)

      it("names a doubled message, under the same id in the archive", function()
        local _, part = pick("single")
        sql("INSERT INTO %s SELECT * FROM %s WHERE id = '%s'", database:table("messages_archive"), messages,
          part.id)
        assert.truthy(kinds_of(judge()).doubled)
      end)

      it("names a message with another seq than acknowledged", function()
        local _, part = pick("single")
        sql("UPDATE %s SET seq = seq + 1000 WHERE id = '%s'", messages, part.id)
        local kinds = kinds_of(judge())
        assert.truthy(kinds.seq)
        assert.truthy(kinds.gap)
      end)

      it("names two messages that changed places", function()
        local unit = pick("batch")
        local one, two = unit.parts[1].id, unit.parts[2].id
        sql("UPDATE %s SET seq = seq + 1000 WHERE id = '%s'", messages, one)
        sql("UPDATE %s SET seq = seq - 1 WHERE id = '%s'", messages, two)
        sql("UPDATE %s SET seq = seq - 999 WHERE id = '%s'", messages, one)
        local kinds = kinds_of(judge())
        assert.truthy(kinds.seq)
        assert.truthy(kinds.torn)
        assert.is_nil(kinds.gap)
      end)

      it("names units of a writer that were stored the other way round", function()
        -- Ids and texts are exchanged, and acknowledgements with them, so only the order tells.
        local first, second
        for _, unit in ipairs(units) do
          if unit.kind == "single" then
            if first and first.user == unit.user and first.writer == unit.writer
              and first.parts[1].key == unit.parts[1].key then
              second = unit
              break
            end
            first = first or unit
          end
        end
        assert(second)
        local seq_of = log.acknowledged[first.writer]
        for unit, seq in pairs({ [first] = 1000001, [second] = 1000000 }) do
          sql("UPDATE %s SET seq = %d WHERE id = '%s'", messages, seq, unit.parts[1].id)
          seq_of[unit.number] = { seq }
        end
        local kinds = kinds_of(judge())
        assert.truthy(kinds.order)
        assert.is_nil(kinds.seq)
      end)

      for what, change in pairs({
        ["text, by one byte"] = "content = substr(content, 1, length(content) - 1) || 'X'",
        ["text, by its end"] = "content = substr(content, 1, length(content) - 1)",
        ["role"] = "role = CASE role WHEN 'user' THEN 'assistant' ELSE 'user' END",
        ["metadata"] = [[metadata = '{"unit":999}']],
        ["token count"] = "token_count = token_count + 1",
      }) do
        it("names a changed " .. what, function()
          local _, part = pick("single")
          sql("UPDATE %s SET %s WHERE id = '%s'", messages, change, part.id)
          assert.truthy(kinds_of(judge()).bytes)
        end)
      end

      for counter, words in pairs({ last_seq = ": last_seq", token_count = ": token_count",
        pinned_token_count = ": pinned_token_count" }) do
        it("names a wrong " .. counter, function()
          sql("UPDATE %s SET %s = %s + 1", conversations, counter, counter)
          local kinds = kinds_of(judge())
          assert.truthy(kinds.counter:find(words, 1, true), kinds.counter)
        end)
      end

      it("names a wrong running total", function()
        local _, part = pick("single")
        sql("UPDATE %s SET token_total = token_total + 1 WHERE id = '%s'", messages, part.id)
        local kinds = kinds_of(judge())
        assert.truthy(kinds.counter:find("token_total", 1, true), kinds.counter)
      end)

      for _, kind in ipairs({ "batch", "transaction" }) do
        it("names half a " .. kind .. ", also one that was never acknowledged", function()
          local unit, part = pick(kind)
          log.acknowledged[unit.writer][unit.number] = nil
          remove_neatly(part.id)
          local kinds = kinds_of(judge())
          assert.truthy(kinds.half:find(kind, 1, true))
          assert.is_nil(kinds.lost)
        end)
      end

      it("names what was refused or undone and is there all the same", function()
        local unit = pick("transaction")
        log.acknowledged[unit.writer][unit.number] = nil
        log:line(unit.writer, "undone " .. unit.number)
        assert.truthy(kinds_of(judge()).refused)
      end)

      it("names what nobody sent", function()
        local unit = pick("single")
        log.tried[unit.writer][unit.number] = nil
        assert.truthy(kinds_of(judge()).stranger)
      end)

      it("names a message in another conversation", function()
        local _, part = pick("single")
        sql([[UPDATE %s AS m SET seq = seq + 1000, conversation_id = (SELECT c.id FROM %s AS c
          WHERE c.user_id = m.user_id AND c.id <> m.conversation_id ORDER BY c.id LIMIT 1) WHERE id = '%s']],
          messages, conversations, part.id)
        assert.truthy(kinds_of(judge()).place)
      end)

      it("lets what was tried and never answered be there or not", function()
        local unit = pick("single")
        log.acknowledged[unit.writer][unit.number] = nil
        assert.same({}, (judge()))
        remove_neatly(unit.parts[1].id)
        local kinds = kinds_of(judge())
        assert.is_nil(kinds.lost)
        assert.is_nil(kinds.half)
      end)

      it("names what a writer said that cannot be", function()
        log:line(1, "ack 1 999999")
        assert.truthy(kinds_of(judge()).said)
      end)
    end)
  end
end

describe("a run of make faults #sqlite", function()
  local printed

  before_each(function() printed = {} end)

  -- Runs a scenario that writes ten units and then does `mischief` to its run.
  local function play(mischief)
    local scenario = { name = "play", databases = { "sqlite" }, share = 1, run = function(self)
      self:open()
      self.rounds = 1
      self:finish(self:start(1, 1, 10))
      mischief(self)
      self:judge()
    end }
    local ok = run.scenario(scenario, "sqlite", 0, 1, function(line) printed[#printed + 1] = line end)
    return ok, table.concat(printed, "\n")
  end

  it("is good where all is well", function()
    local ok, output = play(function() end)
    assert.is_true(ok, output)
    assert.truthy(output:find("lost 0, doubled 0", 1, true), output)
    assert.equal(1, #printed)
  end)

  it("is bad where a message was lost, and says which", function()
    local ok, output = play(function(self)
      local id = self.plan:unit(1, 3).parts[1].id
      self.place.sql("DELETE FROM convstore_messages WHERE id = '" .. id .. "';")
    end)
    assert.is_false(ok)
    assert.truthy(output:find("lost 1", 1, true), output)
    assert.truthy(output:find("writer 1 unit 3 part 1", 1, true), output)
  end)

  it("is bad where the database is damaged beyond reading", function()
    local ok, output = play(function(self)
      assert(shell.run("head -c 3000 /dev/urandom | dd of=" .. shell.quote(self.place.path)
        .. " conv=notrunc bs=100 seek=1 && rm -f " .. shell.quote(self.place.path .. "-wal")))
    end)
    assert.is_false(ok)
    assert.truthy(output:find("damaged: ", 1, true), output)
  end)

  it("is bad where a writer fails that has no cause to", function()
    local ok, output = play(function(self)
      self:finish(self:start(2, 1, 1, "no,such,thing", { before = "ulimit -n 3" }))
    end)
    assert.is_false(ok)
    assert.truthy(output:find("writer 2 failed", 1, true), output)
  end)

  it("is bad where the scenario itself fails, or nothing was acknowledged", function()
    local folder, writer
    local ok, output = play(function(self)
      folder, writer = self.place.folder, self:start(1, 11, run.FOREVER)
      error("oh no")
    end)
    assert.is_false(ok)
    assert.truthy(output:find("oh no", 1, true), output)
    -- And nothing of it is left.
    assert.is_false(shell.exists(folder))
    assert.is_false((shell.run("kill -0 " .. writer.pid)))
    ok = play(function(self) self.log = ledger.new() end)
    assert.is_false(ok)
  end)

  it("ends with status 1 where one of its scenarios is bad", function()
    local folder = shell.folder()
    assert(shell.run("mkdir -p " .. folder .. "/spec/faults/scenarios"))
    local delete = "self.place.sql('DELETE FROM convstore_messages WHERE seq = 1;')"
    for name, deed in pairs({ good = "", bad = delete }) do
      shell.write(("%s/spec/faults/scenarios/%s.lua"):format(folder, name), ([[
        return { name = "%s", databases = { "sqlite" }, share = 1, run = function(self)
          self:open()
          self:finish(self:start(1, 1, 5))
          %s
          self:judge()
        end }]]):format(name, deed))
    end
    local command = "LUA_PATH='" .. folder .. "/?.lua;'" .. shell.quote(package.path) .. " LUA_CPATH="
      .. shell.quote(package.cpath) .. " " .. (os.getenv("CONVSTORE_TEST_LUA") or "lua5.4")
      .. " spec/faults/main.lua 1 "
    local ok, output = shell.run(command .. "good")
    assert.is_true(ok, output)
    ok, output = shell.run(command .. "good bad")
    assert.is_false(ok)
    assert.truthy(output:find("2 scenarios, 1 of them with violations", 1, true), output)
    shell.remove(folder)
  end)
end)
