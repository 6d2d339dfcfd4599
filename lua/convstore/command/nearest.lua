--- Which word somebody may have meant.

-- How many letters must be added, taken away, changed or swapped with their neighbour to make one word of another.
local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

--- The word that is nearest, or nil where none is near.
---@param word string
---@param words string[]
---@return string?
return function(word, words)
  local best, best_distance = nil, math.max(2, #word // 3) + 1
  for _, candidate in ipairs(words) do
    local d = distance(word:lower(), candidate)
    if #word >= 2 and candidate:sub(1, #word) == word then
      d = math.min(d, 1) -- it was only begun
    end
    if candidate:byte() ~= word:byte() then
      d = d + 0.5 -- the first letter is seldom wrong
    end
    if d < best_distance and d < #candidate then
      best, best_distance = candidate, d
    end
  end
  return best
end
