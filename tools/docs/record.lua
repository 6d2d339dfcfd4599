--- Makes the terminal recording of the README: lua5.4 tools/docs/record.lua > docs/eliza.svg
-- A real shell on a pseudo-terminal of 80 columns is typed at, and what its screen shows is drawn. Nothing in the
-- session depends on the time, so the picture is the same each time, and `make docs-check` sees one that is too old.

package.path = "./?.lua;" .. package.path
local process = require "spec.support.process"
local shell = require "spec.support.shell"

-- What is typed, each behind the text that the screen must show first.
local SESSION = {
  { "$ ", "lua5.4 examples/eliza.lua bot.db Ada" },
  { "> ", "My printer beeps." },
  { "> ", "/quit" },
  { "$ ", "lua5.4 examples/eliza.lua bot.db Ada    # another process, another day" },
  { "> ", "I feel watched by it." },
  { "> ", "/search printer" },
  { "> ", "/quit" },
  { "$ ", "sqlite3 bot.db 'SELECT seq, role, content FROM convstore_messages'" },
  { "$ ", "convstore --dsn bot.db check" },
  { "$ ", "exit" },
}

local CELL, LINE, MARGIN = 8.4, 19, 16

-- The screen's text after the session.
local function play()
  local folder = shell.folder()
  local root = assert(io.popen("pwd")):read("l")
  local quoted_root = shell.quote(root)
  shell.write(folder .. "/convstore", '#!/bin/sh\nexec lua5.4 ' .. quoted_root .. '/tools/convstore "$@"\n')
  assert(shell.run(("cd %s && chmod +x convstore && ln -s %s/examples examples"):format(folder, quoted_root)))
  local inner = ([[cd %s; stty cols 80 rows 24
    env -i PATH=%s:"$PATH" LUA_PATH=%s LUA_CPATH=%s TERM=dumb LANG=C.UTF-8 PS1='$ ' \
      bash --norc --noprofile -i]]):format(folder, folder, shell.quote(os.getenv("LUA_PATH")),
    shell.quote(os.getenv("LUA_CPATH")))
  local session = process.command(folder, "script -qefc " .. shell.quote(inner) .. " /dev/null")
  local seen, from = "", 1
  for _, step in ipairs(SESSION) do
    while not seen:find(step[1] .. "$", from) do
      seen = seen .. assert(session.pipe:read(1), "the session ended: " .. seen)
    end
    from = #seen + 1
    session.input:write(step[2], "\n")
    session.input:flush()
  end
  seen = seen .. session.pipe:read("a")
  session:finish()
  shell.remove(folder)
  return (seen:gsub("\r", ""):gsub("%$ exit\nexit\n$", ""))
end

-- The lines of the screen: no longer than it is wide.
local function screen_lines(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n?") do
    while utf8.len(line) > 80 do
      local cut = utf8.offset(line, 81)
      list[#list + 1], line = line:sub(1, cut - 1), line:sub(cut)
    end
    list[#list + 1] = line
  end
  while list[#list] == "" do
    list[#list] = nil
  end
  return list
end

local function escaped(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- What a person typed stands out.
local function classed(line)
  local prompt, typed = line:match("^([$>] )(.*)$")
  if not prompt then
    return escaped(line)
  end
  return ('<tspan class="p">%s</tspan><tspan class="t">%s</tspan>'):format(escaped(prompt), escaped(typed))
end

local HEAD = [[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img"
 aria-label="A terminal: the bot is started twice, and the second time it knows what was said the first time">
<style>
text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d8dee9 }
.p { fill: #8fbcbb } .t { fill: #ebcb8b; font-weight: 600 }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#20252e"/>]]

-- textLength keeps the columns, whichever font the reader has.
local TEXT = [[
<text x="%g" y="%g" xml:space="preserve" textLength="%g" lengthAdjust="spacingAndGlyphs">%s</text>]]

local function draw(list)
  local width, height = 80 * CELL + 2 * MARGIN, #list * LINE + 2 * MARGIN
  local out = { HEAD:format(width, height, width, height) }
  for i, line in ipairs(list) do
    if line ~= "" then
      out[#out + 1] = TEXT:format(MARGIN, MARGIN + i * LINE - 5, utf8.len(line) * CELL, classed(line))
    end
  end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

io.write(draw(screen_lines(play())))
