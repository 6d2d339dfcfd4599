-- A random source of its own for each test (xorshift64*), so that a failure repeats whatever order the tests ran in.
local random = {}
random.__index = random

function random.new(seed)
  return setmetatable({ state = (seed * 2654435761 + 88172645463325252) | 1 }, random)
end

function random:bits()
  local x = self.state
  x = x ~ (x >> 12)
  x = x ~ (x << 25)
  x = x ~ (x >> 27)
  self.state = x
  return x * 2685821657736338717
end

-- An integer in low…high, both included.
function random:int(low, high)
  return low + ((self:bits() >> 2) % (high - low + 1))
end

function random:chance(percent)
  return self:int(1, 100) <= percent
end

function random:pick(list)
  return list[self:int(1, #list)]
end

function random:bytes(n)
  local out = {}
  for i = 1, n do
    out[i] = string.char(self:int(0, 255))
  end
  return table.concat(out)
end

-- A Unicode character other than NUL, of any encoded length.
function random:char()
  local code
  repeat
    local kind = self:int(1, 5)
    if kind <= 2 then
      code = self:int(1, 0x7F)
    elseif kind == 3 then
      code = self:int(0x80, 0x7FF)
    elseif kind == 4 then
      code = self:int(0x800, 0xFFFF)
    else
      code = self:int(0x10000, 0x10FFFF)
    end
  until code < 0xD800 or code > 0xDFFF
  return utf8.char(code)
end

-- A text of at most n characters.
function random:text(n)
  local out = {}
  for i = 1, self:int(0, n) do
    out[i] = self:char()
  end
  return table.concat(out)
end

return random
