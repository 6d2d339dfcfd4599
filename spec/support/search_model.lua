-- What user:search finds, said in plain Lua for texts of ASCII and Han characters: the law that the index is compared
-- with. Words are runs of ASCII letters and digits, and each Han character by itself.
local model = {}

-- The words of a text: { word =, glued = whether nothing stands between it and the word before }.
local function words(text)
  local list, last = {}, nil
  local function add(word, first, behind)
    list[#list + 1] = { word = word:lower(), glued = last == first }
    last = behind
  end
  local i = 1
  while i <= #text do
    local first, behind = text:find("^[%w]+", i)
    if first then
      add(text:sub(first, behind), first, behind + 1)
      i = behind + 1
    else
      local code = utf8.codepoint(text, i)
      local next_i = utf8.offset(text, 2, i)
      if code >= 0x4E00 and code <= 0x9FFF then
        add(text:sub(i, next_i - 1), i, next_i)
      end
      i = next_i
    end
  end
  return list
end

-- How often `unit`, a list of words, stands in `text_words`.
local function count(text_words, unit)
  local n = 0
  for i = 1, #text_words - #unit + 1 do
    local same = true
    for k = 1, #unit do
      local word = text_words[i + k - 1]
      same = same and word.word == unit[k].word and (k == 1 or word.glued == unit[k].glued)
    end
    if same then n = n + 1 end
  end
  return n
end

-- A query as a list of { words =, without = }; it knows quotes and "-".
local function parse(query)
  local units = {}
  local i = 1
  while i <= #query do
    i = query:find("%S", i)
    if not i then break end
    local without = query:find('^%-[^%s%-]', i) ~= nil
    if without then i = i + 1 end
    local text
    if query:sub(i, i) == '"' then
      local stop = query:find('"', i + 1, true) or #query + 1
      text, i = query:sub(i + 1, stop - 1), stop + 1
    else
      local stop = query:find('[%s"]', i) or #query + 1
      text, i = query:sub(i, stop - 1), stop
    end
    local unit = words(text)
    if #unit > 0 then units[#units + 1] = { words = unit, without = without } end
  end
  return units
end

-- Whether a text is found by a query.
function model.finds(query, text)
  local text_words, found = words(text), false
  for _, unit in ipairs(parse(query)) do
    local there = count(text_words, unit.words) > 0
    if there == unit.without then return false end
    found = found or there
  end
  return found
end

local ASCII = { "apple", "Pear", "plum", "fig", "42", "Kiwi", "date", "lime" }
local HAN = { "数", "据", "库", "你", "好", "世", "界", "人" }
local BETWEEN = { " ", " ", " ", ", ", "。", "\n", "-", "" }

-- A text of at most n pieces, and a query about such texts.
function model.random_text(random, n)
  local parts = {}
  for i = 1, random:int(0, n) do
    local piece = random:pick(random:chance(60) and ASCII or HAN)
    -- Two words without anything between would be one other word.
    local glue = random:pick(BETWEEN)
    local before = parts[i - 1]
    if before and glue == "" and before:find("%w$") and piece:find("^%w") then glue = " " end
    parts[i] = glue .. piece
  end
  return table.concat(parts)
end

function model.random_query(random)
  local units = {}
  for i = 1, random:int(1, 3) do
    local kind = random:int(1, 6)
    local unit
    if kind <= 2 then
      unit = random:pick(ASCII)
    elseif kind == 3 then
      unit = random:pick(HAN) .. random:pick(HAN)
    elseif kind == 4 then
      unit = '"' .. random:pick(ASCII) .. " " .. random:pick(ASCII) .. '"'
    elseif kind == 5 then
      unit = random:pick(ASCII) .. random:pick(HAN)
    else
      unit = random:pick(HAN)
    end
    units[i] = (i > 1 and random:chance(25) and "-" or "") .. unit
  end
  return table.concat(units, " ")
end

return model
