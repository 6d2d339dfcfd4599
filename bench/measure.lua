-- Compares two sides of the same work. A machine's speed drifts by the second, so the sides alternate in
-- short blocks, in a random order each round, and are compared within the round as well as by their medians.
local clock = require("twin").clock

local measure = {}

function measure.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

local function time(work, before)
  if before then before() end
  collectgarbage() -- each side pays for its own garbage alone
  local start = clock()
  work()
  return clock() - start
end

-- Runs both functions once per round, and twice before, unmeasured. `calls` is how many calls one run makes.
-- Gives the median seconds per call of each, their ratio, and the median of the rounds' own ratios. before[1] and
-- before[2] run ahead of the sides, unmeasured.
function measure.compare(rounds, calls, one, other, before)
  local sides, times, ratios = { one, other }, { {}, {} }, {}
  for round = -1, rounds do
    local first = math.random(2)
    local taken = {}
    for _, side in ipairs{ first, 3 - first } do
      taken[side] = time(sides[side], before and before[side]) / calls
    end
    if round > 0 then
      times[1][round], times[2][round], ratios[round] = taken[1], taken[2], taken[1] / taken[2]
    end
  end
  local result = { one = measure.median(times[1]), other = measure.median(times[2]),
    median_ratio = measure.median(ratios) }
  result.ratio = result.one / result.other
  return result
end

-- Runs work(1) ... work(n) and gives the seconds of each, ascending.
function measure.each(n, work)
  local times = {}
  collectgarbage()
  for i = 1, n do
    local start = clock()
    work(i)
    times[i] = clock() - start
  end
  table.sort(times)
  return times
end

-- The seconds below which that many per cent of ascending times lie.
function measure.percentile(times, percent)
  return times[math.max(1, math.ceil(#times * percent / 100))]
end

-- What work() takes, once.
function measure.once(work)
  return measure.each(1, work)[1]
end

local function duration(seconds)
  if seconds >= 1 then return ("%.2f s"):format(seconds) end
  if seconds < 1e-3 then return ("%.1f µs"):format(seconds * 1e6) end
  return ("%.2f ms"):format(seconds * 1e3)
end

measure.duration = duration

function measure.header(one, other)
  print(("| | %s | %s | ratio of medians | median of ratios | goal | |"):format(one, other))
  print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
end

function measure.plain_row(what, result, ...)
  local cells = { what, duration(result.one), duration(result.other), ("%.3f"):format(result.ratio),
    ("%.3f"):format(result.median_ratio), ... }
  print("| " .. table.concat(cells, " | ") .. " |")
  io.stdout:flush()
end

-- A line of a table with a goal, which counts as met when both ratios keep it.
function measure.row(what, result, goal)
  local met = math.max(result.ratio, result.median_ratio) <= goal and "met" or "**missed**"
  measure.plain_row(what, result, ("≤ %.2f"):format(goal), met)
end

return measure
