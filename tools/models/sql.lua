-- Lays out a statement for a reader: a clause a line, what is in parentheses indented. Only white space outside of
-- quotes changes, so the text is still the one that runs.
local sql = {}

local WIDTH = 108

-- What begins a line, longest first.
local CLAUSES = {
  "WITH RECURSIVE", "WITH", "SELECT", "INSERT INTO", "UPDATE", "DELETE FROM", "VALUES", "FROM",
  "CROSS JOIN LATERAL", "LEFT JOIN LATERAL", "CROSS JOIN", "LEFT JOIN", "JOIN", "WHERE", "GROUP BY",
  "ORDER BY", "LIMIT", "UNION ALL", "UNION", "RETURNING", "ON CONFLICT", "SET", "USING", "FOR UPDATE",
  "FOR NO KEY UPDATE", "INDEXED BY",
}

-- Parentheses whose inside is laid out.
local function opens_block(text, at)
  local inside = text:match("^%(%s*%(*(%u+)", at)
  return inside == "SELECT" or inside == "WITH" or inside == "INSERT" or inside == "UPDATE"
    or inside == "DELETE"
end

local function clause_at(text, at)
  if at > 1 and text:find("^[%w_.]", at - 1) or text:find("^WITH ORDINALITY", at) then
    return nil
  end
  for _, clause in ipairs(CLAUSES) do
    local last = at + #clause - 1
    if text:sub(at, last) == clause and not text:find("^[%w_(]", last + 1) then
      return clause
    end
  end
end

-- The end of a quoted text or name that begins at `at`.
local function end_of_quoted(text, at)
  return assert(text:find(text:sub(at, at), at + 1, true), "a quote is open")
end

-- Where a long line may be cut: behind a comma outside of parentheses if there is one, else at the last blank.
local function cut_of(line, from)
  local depth, at_comma, at_blank = 0, nil, nil
  for at = from, math.min(#line, WIDTH + 1) do
    local c = line:sub(at, at)
    if c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
    elseif c == " " then
      at_blank = at
      if depth <= 0 and line:sub(at - 1, at - 1) == "," then
        at_comma = at
      end
    end
  end
  return at_comma or at_blank
end

local function wrap(line)
  local indent = line:match("^ *")
  local lines = {}
  while #line > WIDTH do
    local cut = cut_of(line, #indent + 8)
    if not cut then
      break
    end
    lines[#lines + 1] = line:sub(1, cut - 1)
    line = indent .. "  " .. line:sub(cut + 1)
  end
  lines[#lines + 1] = line
  return lines
end

function sql.laid_out(text)
  local lines, line, depth, further = {}, "", 0, ""
  local stack = {} -- for each open parenthesis, whether it is a block
  local between, cases = false, 0

  local function in_block()
    return #stack == 0 or stack[#stack]
  end
  local function flush()
    line = line:gsub("%s+$", "")
    if line:find("%S") then
      for _, part in ipairs(wrap(("  "):rep(depth) .. further .. line:gsub("^%s+", ""))) do
        lines[#lines + 1] = part
      end
    end
    line, further = "", ""
  end

  local at = 1
  while at <= #text do
    local c = text:sub(at, at)
    local clause = in_block() and clause_at(text, at)
    local last = at
    if c == "'" or c == '"' then
      last = end_of_quoted(text, at)
      line = line .. text:sub(at, last)
    elseif c == "(" then
      line = line .. c
      stack[#stack + 1] = opens_block(text, at)
      if stack[#stack] then
        flush()
        depth = depth + 1
      end
    elseif c == ")" then
      if table.remove(stack) then
        flush()
        depth = depth - 1
      end
      line = line .. c
    elseif clause then
      -- A locking clause's words are no clauses of their own.
      if not (clause == "UPDATE" and line:find("FOR $")) then
        flush()
      end
      last = at + #clause - 1
      line = line .. clause
    elseif in_block() and cases == 0 and text:find("^AND%s", at) and not text:find("^[%w_]", at - 1) then
      if between then
        between = false
      else
        flush()
        further = "  "
      end
      last = at + 2
      line = line .. "AND"
    else
      if text:find("^BETWEEN%s", at) then
        between = true
      end
      -- A word goes as a whole, so that no clause is found inside it.
      last = select(2, text:find("^[%w_.{}$?:]+", at)) or at
      local word = text:sub(at, last)
      cases = cases + (word == "CASE" and 1 or word == "END" and -1 or 0)
      line = line .. word
    end
    at = last + 1
  end
  flush()
  return table.concat(lines, "\n")
end

return sql
