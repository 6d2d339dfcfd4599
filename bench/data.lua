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
