-- What the benchmarks write: chat text of ordinary length, the same in every run.
local data = {}

local words = {}
for word in ([[
  the of and to a in is it you that he was for on are with as I his they be at one have this from or
  had by hot word but what some we can out other were all there when up use your how said an each
  she which do their time if will way about many then them write would like so these her long make
  thing see him two has look more day could go come did number sound no most people my over know
  water than call first who may down side been now find
]]):gmatch("%S+") do words[#words + 1] = word end

-- A small generator of our own: math.random is left to shuffle rounds.
local state = 1
local function random(n)
  state = (state * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
  return (state >> 33) % n + 1
end

-- n texts, questions of 5-20 words and answers of 20-120 in turn: 180 bytes on average, or `times` as many.
function data.texts(n, times)
  local texts = {}
  for i = 1, n do
    local text = {}
    local length = (i % 2 == 1 and 4 + random(16) or 19 + random(101)) * (times or 1)
    for j = 1, length do text[j] = words[random(#words)] end
    texts[i] = table.concat(text, " ")
  end
  return texts
end

-- ---- texts for searches: words as they are spread in a language -----------------------------------------------------

local VOCABULARY, DRAWS = 20000, 1 << 20
local syllables = { "ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu",
  "ner", "lan", "mor", "tis", "kel" }

-- Each number below VOCABULARY by its syllables, the low ones, which are frequent, in few: all are different.
local function word_of(rank)
  local word = {}
  repeat
    word[#word + 1] = syllables[rank % #syllables + 1]
    rank = rank // #syllables
  until rank == 0
  return table.concat(word)
end

-- Zipf's law: word r is drawn in proportion to 1 / r. As a table, so that a draw is one look.
local draws
local function vocabulary()
  if draws then return draws end
  draws = {}
  local sum, reached = 0, 0
  for rank = 1, VOCABULARY do sum = sum + 1 / rank end
  for rank = 1, VOCABULARY do
    reached = reached + 1 / rank
    local word, last = word_of(rank), math.floor(reached / sum * DRAWS)
    for i = #draws + 1, last do draws[i] = word end
  end
  return draws
end

-- n texts of 20-45 words, 180 bytes on average.
function data.zipf_texts(n)
  local from, texts = vocabulary(), {}
  for i = 1, n do
    local text = {}
    for j = 1, 19 + random(26) do text[j] = from[random(#from)] end
    texts[i] = table.concat(text, " ")
  end
  return texts
end

-- n queries for words that are in the texts: one of any frequency, two of one text, or two that follow each other.
function data.queries(kind, n, texts)
  local queries = {}
  for i = 1, n do
    local text = {}
    for word in texts[random(#texts)]:gmatch("%S+") do text[#text + 1] = word end
    local at = random(#text - 1)
    if kind == "phrase" then
      queries[i] = '"' .. text[at] .. " " .. text[at + 1] .. '"'
    elseif kind == "two words" then
      local other = random(#text)
      while text[other] == text[at] do other = random(#text) end
      queries[i] = text[at] .. " " .. text[other]
    else
      queries[i] = text[at]
    end
  end
  return queries
end

data.roles = { [0] = "assistant", "user" }

-- The same as messages for append_many.
function data.messages(texts)
  local messages = {}
  for i, text in ipairs(texts) do messages[i] = { role = data.roles[i % 2], content = text } end
  return messages
end

-- A function that appends the texts to a conversation one by one.
function data.appends(chat, texts)
  return function()
    for i = 1, #texts do assert(chat:append(data.roles[i % 2], texts[i])) end
  end
end

return data
