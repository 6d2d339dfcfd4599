-- Prints what comparison.lua has measured, as Markdown tables.
local measure = require "measure"

local report = {}

-- The slowest that 95 of 100 calls may be.
local TARGETS = { { key = "append", what = "append", seconds = 0.05 },
  { key = "newest", what = "history, newest 50", seconds = 0.2 } }
local BINDINGS = { "LuaSQL", "LuaDBI" }
local OBJECTS = "SQLModel, objects"

local function say(text, ...)
  print((text:format(...)))
end

local function names_of(sides, but)
  local names = {}
  for _, side in ipairs(sides) do
    if side.name ~= but then names[#names + 1] = side.name end
  end
  return names
end

local function header(first, names, ...)
  local columns = table.move({ ... }, 1, select("#", ...), #names + 1, table.move(names, 1, #names, 1, {}))
  say("\n| %s | %s |\n| --- |%s", first, table.concat(columns, " | "), (" ---: |"):rep(#columns))
end

local function times(one, names)
  header(one.name, names)
  for _, of in ipairs(one.work) do
    local result, cells = one.results[of.key], {}
    for i, name in ipairs(names) do
      local median, ratio = result.median[name], result.to_c[name]
      cells[i] = not median and "–" or measure.duration(median)
      if median and ratio and name ~= "plain C" then cells[i] = ("%s (%.2f)"):format(cells[i], ratio) end
    end
    say("| %s | %s |", of.what, table.concat(cells, " | "))
  end
end

local function met(value, goal) return value >= goal and "met" or "**missed**" end

-- How much longer the others take than convstore, and the goals for that.
local function factors(one, names)
  header(one.name, names, "goal: best binding", "", "goal: SQLModel, objects", "")
  for _, of in ipairs(one.work) do
    local ratios, cells, best = one.results[of.key].to_convstore, {}, math.huge
    for i, name in ipairs(names) do
      cells[i] = ratios[name] and ("%.2f"):format(ratios[name]) or "–"
    end
    for _, name in ipairs(BINDINGS) do best = math.min(best, ratios[name] or math.huge) end
    local binding_goal, goal = of.binding_goal or 1, of.goals and of.goals[one.key]
    say("| %s | %s | ≥ %.1f | %s | %s | %s |", of.what, table.concat(cells, " | "), binding_goal,
      best < math.huge and met(best, binding_goal) or "–", goal and "≥ " .. goal or "",
      goal and ratios[OBJECTS] and met(ratios[OBJECTS], goal) or "")
  end
end

local function latencies(compared)
  print [[

Single calls of convstore in these rounds, beside what is wanted of 95 of 100.

| | median | 95 % | 99 % | goal | |
| --- | ---: | ---: | ---: | ---: | --- |]]
  for _, one in ipairs(compared) do
    for _, target in ipairs(TARGETS) do
      local p = one.results[target.key].percentiles.convstore
      say("| %s, %s | %s | %s | %s | ≤ %d ms | %s |", target.what, one.name, measure.duration(p[1]),
        measure.duration(p[2]), measure.duration(p[3]), target.seconds * 1e3,
        p[2] <= target.seconds and "met" or "**missed**")
    end
  end
end

local function growths(compared, sizes, names)
  say([[

The same call on a conversation of %d messages, divided by that on one of %d; each side beside itself.
SQLModel with objects is left out: its window loads them all.]], sizes.large, sizes.small)
  header("", names)
  for _, one in ipairs(compared) do
    for _, target in ipairs(TARGETS) do
      local cells = {}
      for i, name in ipairs(names) do
        cells[i] = one.growth[name] and ("%.2f"):format(one.growth[name][target.key]) or "–"
      end
      say("| %s, %s | %s |", target.what, one.name, table.concat(cells, " | "))
    end
  end
end

local function memories(compared, sizes, names)
  say([[

Resident memory of the process: with the library loaded and the database open, and what reading a conversation
of %d messages one by one adds at most (convstore by `each`, the bindings by a cursor, SQLModel by
`yield_per`). On PostgreSQL the bindings' libraries hold the whole result.]], sizes.middle)
  header("", names)
  for _, one in ipairs(compared) do
    local cells = {}
    for i, name in ipairs(names) do
      local memory = one.memory[name]
      cells[i] = memory and ("%.1f + %.1f MiB"):format(memory.before, memory.added) or "–"
    end
    say("| %s | %s |", one.name, table.concat(cells, " | "))
  end
end

-- compared: what comparison.lua found for each kind of database; method: its numbers.
function report.print(compared, sides, method)
  local all, but_c, but_convstore = names_of(sides), names_of(sides, "plain C"), {}
  for _, name in ipairs(but_c) do
    if name ~= "convstore" then but_convstore[#but_convstore + 1] = name end
  end
  say([[

## What people would use instead

![How many times as long as plain C](benchmarks.svg)

%s.

All do the same work on convstore's own tables and indexes, with the same settings (SQLite: WAL,
`synchronous = FULL`, `foreign_keys`, `secure_delete`; PostgreSQL: TCP on this machine, its cluster where
tools/with_postgres puts it). Each is a process of its own and times its calls by itself; all take turns in
every one of %d rounds, in another order each time. Times are medians over the rounds, ratios are medians of
the ratios within a round. What they read is compared line by line before; what they appended is read back
after, and convstore's `check` must find nothing.

- *plain C* is the twin: convstore's statements, without checks, options, retries and results of an append; it
  has no search. On PostgreSQL its batch is a COPY without row-level security.
- *LuaSQL* has no parameters, so texts are escaped into the SQL. *LuaDBI* has prepared statements. Both select
  the same columns, read only the rows that are needed, append in one transaction and insert batches by a
  hundred rows (LuaDBI on SQLite: one by one, prepared). They are the superuser: row-level security does not
  bind them, it binds convstore.
- *SQLModel, objects* is what its documentation shows: a session for each call; objects added, committed and
  refreshed; `conversation.messages[-50:]` for a window and `conversation.messages[-1]` in a list. That loads
  all messages of a conversation (1,000 in the windows, 100 each in the list), so its factors there grow with
  the conversations. SQLAlchemy 1.4's default for an SQLite file is no pool: each session opens it anew, and
  the last connection to close empties the write-ahead log.
- *SQLModel, queries* is the same library by somebody who looks at the SQL: columns instead of objects,
  `LIMIT`, one join for the list, bulk inserts, no refresh; a pool also on SQLite.
- Search: convstore by its index, whole words, best first; the others by `LIKE` over %d messages of the user,
  letters, newest first.
- The list is of %d conversations; the conversations that are appended to begin with 1,000 messages.

Times, and in brackets how many times as long as plain C:]], method.versions, method.rounds, method.searched,
    method.conversations)
  for _, one in ipairs(compared) do
    times(one, all)
    for _, missing in ipairs(one.missing) do say("\n%s", missing) end
  end
  say "\nHow many times as long as convstore the others take:"
  for _, one in ipairs(compared) do factors(one, but_convstore) end
  latencies(compared)
  local growing = {}
  for _, name in ipairs(all) do
    if name ~= OBJECTS then growing[#growing + 1] = name end
  end
  growths(compared, method.sizes, growing)
  memories(compared, method.sizes, but_c)
end

return report
