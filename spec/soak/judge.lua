-- Says whether what was sampled is flat.
--
-- Method. The first half of the run is for warming up: caches, statements, the heap's fragments. The second half is cut
-- in two, and the median of its last part is compared with the median of its first: a leak moves every sample behind
-- it, a cache that happened to be fuller moves one. What grew must stay below a limit. Descriptors, threads and
-- connections are counted at rest, so they must be the same in every sample of the second half (in the first SQLite may
-- still come to keep one for later: it does not close a file's descriptor while another connection of this process has
-- a lock on it). No connection may hold the same statement twice, and none more than a fixed number.
local judge = {}

judge.LIMITS = {
  heap = 128 * 1024, -- bytes in use without SQLite's page caches, whose other memory moves by 60 KiB
  rss = 3 * 1024 * 1024,
  entries = 50, -- of tables that Lua reaches
  statements = 160, -- of one connection: there are not so many different ones
}

judge.FEWEST = 8 -- samples that can be judged

local function median(samples, first, last, field)
  local values = {}
  for i = first, last do values[#values + 1] = samples[i][field] end
  table.sort(values)
  return (values[(#values + 1) // 2] + values[#values // 2 + 1]) // 2
end

-- How much `field` grew in the second half.
function judge.growth(samples, field)
  local half, three_quarters = #samples // 2, #samples * 3 // 4
  return median(samples, three_quarters + 1, #samples, field)
    - median(samples, half + 1, three_quarters, field)
end

-- The list of what is wrong, one sentence each.
function judge.verdict(samples, limits)
  limits = limits or judge.LIMITS
  local wrong = {}
  local function complain(...) wrong[#wrong + 1] = string.format(...) end
  if #samples < judge.FEWEST then
    complain("%d samples are too few to judge by", #samples)
    return wrong
  end
  for _, field in ipairs({ "heap", "rss", "entries" }) do
    local growth = judge.growth(samples, field)
    if growth > limits[field] then
      complain("%s grew by %d in the second half, more than %d", field, growth, limits[field])
    end
  end
  local half = #samples // 2 + 1
  local first = samples[half]
  for _, field in ipairs({ "descriptors", "threads", "connections" }) do
    for i = half, #samples do
      local sample = samples[i]
      if sample[field] ~= first[field] then
        complain("%s: %d at cycle %d, %d at cycle %d", field, first[field], first.cycle, sample[field],
          sample.cycle)
        break
      end
    end
  end
  local function forbid(field, highest, words)
    for _, sample in ipairs(samples) do
      if (sample[field] or 0) > highest then
        complain(words .. " at cycle %d", sample[field], sample.cycle)
        break
      end
    end
  end
  forbid("twice", 0, "%d statements are prepared twice on one connection")
  forbid("statements", limits.statements, "%d statements are prepared on one connection")
  forbid("idle_in_transaction", 0, "%d connections are left in a transaction")
  return wrong
end

return judge
