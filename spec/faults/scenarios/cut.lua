-- The connection is cut at every byte of an append's exchange in turn, in both directions, for each kind of call; then
-- at every byte of what a new store sends and gets from its first greeting to its first append. Where the time does not
-- suffice for every byte, every n-th is taken, from a random one on, and the line says so.
local convstore = require "convstore"
local proxy = require "spec.support.proxy"
local sender = require "spec.faults.sender"
local system = require "system"

local WRITER = 1

return {
  name = "cut",
  databases = { "postgres" },
  share = 6,
  plan = { users = 1, keys = 2, long = 0 },
  run = function(run)
    local place = run:open()
    local network = proxy.start(place.dsn)
    local dsn = network:dsn(place.dsn)
    local unit_number = 0
    local store, sends

    local function open()
      store = assert(convstore.open(dsn, { timeout = 30 }))
      sends = sender.new(store, run.plan:user(WRITER))
    end

    -- One call of a kind, which may take several tries.
    local function send(kind)
      local unit
      repeat
        unit_number = unit_number + 1
        unit = run.plan:unit(WRITER, unit_number)
      until unit.kind == kind and not unit.undone
      local expired = system.monotime() + 60
      local how = sends:settle(unit_number, unit, function(line) run.log:line(WRITER, line) end,
        function() return system.monotime() > expired end)
      if how ~= "acknowledged" then run:complain("unit %d was %s", unit_number, how) end
    end

    local function cold(kind)
      if store then store:close() end
      open()
      send(kind)
    end

    -- Cuts after `at` bytes of a side's; whether that happened, and the seconds it took.
    local function cut(act, kind, side, at)
      local before, begun = network:cuts(), system.monotime()
      network:cut(side, at)
      act(kind)
      network:cut(side, -1)
      run.rounds = run.rounds + 1
      local cuts = network:cuts() - before
      run.kills = run.kills + cuts
      return cuts > 0, system.monotime() - begun
    end

    local ok, message = xpcall(function()
      open()
      local passes = {}
      for _, way in ipairs({ { "warm", send }, { "cold", cold } }) do
        for _, kind in ipairs(way[1] == "warm" and { "single", "batch", "transaction" } or { "single" }) do
          for _, side in ipairs({ "client", "server" }) do
            way[2](kind)
            network:reset()
            way[2](kind)
            local client, server = network:bytes()
            passes[#passes + 1] = { way = way[1], act = way[2], kind = kind, side = side,
              bytes = side == "client" and client or server }
          end
        end
      end
      -- The time goes to the passes in turn; what one leaves is the next ones'.
      for i, pass in ipairs(passes) do
        for _ = 1, 3 do
          pass.seconds = select(2, cut(pass.act, pass.kind, pass.side, run.source:int(0, pass.bytes - 1)))
        end
        local share = math.max(0.5, run:left() / (#passes - i + 1))
        local stride = math.max(1, math.ceil(pass.bytes * pass.seconds / share))
        local at, misses, last = run.source:int(0, stride - 1), 0, 0
        local stop = system.monotime() + share
        -- Texts differ in length, so a byte that an exchange did not have is looked for in the next ones; the end is
        -- where several in a row had none.
        while misses < 8 and (stride == 1 or system.monotime() < stop) do
          if cut(pass.act, pass.kind, pass.side, at) then
            misses, last, at = 0, at, at + stride
          else
            misses = misses + 1
          end
        end
        run:note("%s %s %s: %s byte of 0–%d", pass.way, pass.kind, pass.side, stride == 1 and "every" or
          "each " .. stride .. ".", last)
      end
    end, debug.traceback)
    if store then store:close() end
    network:close()
    if not ok then run:complain("%s", message) end
    run:judge()
  end,
}
