-- Draws what comparison.lua has measured: for each kind of work a bar for each side, as long as the logarithm of how
-- many times as long as plain C it takes. SVG by hand, with no more than any viewer knows, on a light ground and in
-- colours that differ in lightness, too.
local chart = {}

local COLOURS = { convstore = "#0b5394", LuaSQL = "#e69138", LuaDBI = "#bf9000",
  ["SQLModel, objects"] = "#6a329f", ["SQLModel, queries"] = "#b4a7d6" }
local LEFT, WIDTH, RIGHT, BAR, GAP, TOP = 210, 520, 60, 10, 12, 70

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function escape(text) return (text:gsub("[&<>]", ENTITIES)) end

-- From half of plain C's time to a power of ten that all are below.
local function scale_of(compared)
  local most = 10
  for _, one in ipairs(compared) do
    for _, result in pairs(one.results) do
      for _, ratio in pairs(result.to_c) do
        while ratio > most do most = most * 10 end
      end
    end
  end
  local low, high = math.log(0.5), math.log(most)
  return function(ratio) return LEFT + WIDTH * (math.max(math.log(ratio), low) - low) / (high - low) end, most
end

function chart.svg(compared, sides)
  local x_of, most = scale_of(compared)
  local shapes, y = {}, TOP
  local function add(shape, ...) shapes[#shapes + 1] = shape:format(...) end
  local function label(x, at, text, more)
    add('<text x="%.1f" y="%.1f"%s>%s</text>', x, at, more or "", escape(text))
  end

  for _, one in ipairs(compared) do
    label(10, y + 4, one.name, ' font-weight="bold" font-size="14"')
    y = y + 18
    local from = y
    for _, of in ipairs(one.work) do
      local ratios = one.results[of.key].to_c
      if ratios.convstore then
        local n = 0
        for _, side in ipairs(sides) do
          local ratio = COLOURS[side.name] and ratios[side.name]
          if ratio then
            local one_x, x = x_of(1), x_of(ratio)
            add('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"><title>%s: %.2f</title></rect>',
              math.min(one_x, x), y + n * BAR, math.max(math.abs(x - one_x), 1), BAR - 1, COLOURS[side.name],
              escape(side.name), ratio)
            label(math.max(x, one_x) + 4, y + n * BAR + BAR - 2, ratio < 10 and ("%.2f"):format(ratio)
              or ("%.0f"):format(ratio), ' font-size="9"')
            n = n + 1
          end
        end
        label(LEFT - 8, y + n * BAR / 2 + 4, (of.what:gsub("`", "")), ' text-anchor="end"')
        y = y + n * BAR + GAP
      end
    end
    local tick = 1
    while tick <= most do
      add('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#999" stroke-width="%s"/>', x_of(tick), from - 6,
        x_of(tick), y - 4, tick == 1 and "1.5" or "0.5")
      label(x_of(tick), y + 8, ("%d ×"):format(tick), ' text-anchor="middle" font-size="10"')
      tick = tick * 10
    end
    y = y + 40
  end

  local legend, x = {}, 10
  for _, side in ipairs(sides) do
    if COLOURS[side.name] then
      local sample = '<rect x="%d" y="38" width="10" height="10" fill="%s"/><text x="%d" y="47">%s</text>'
      legend[#legend + 1] = sample:format(x, COLOURS[side.name], x + 14, escape(side.name))
      x = x + 40 + 7 * #side.name
    end
  end
  local width, height = LEFT + WIDTH + RIGHT, y - 20
  return ([[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12"
  fill="#222">
<rect width="100%%" height="100%%" fill="white"/>
<text x="10" y="24" font-size="15" font-weight="bold">Time of a call as a multiple of plain C's
  (shorter is faster)</text>
%s
%s
</svg>
]]):format(width, height, table.concat(legend, "\n"), table.concat(shapes, "\n"))
end

return chart
