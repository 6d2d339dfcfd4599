-- Lists that come in pages, for list, messages and whatever else has a cursor.
local pages = {}

-- All pages of handle:method(options), one after the other, as one list; and how many there were. `between(n)` is
-- called after page n.
function pages.all(handle, method, options, between)
  local list, n, cursor = {}, 0, nil
  repeat
    local given = { cursor = cursor }
    for name, value in pairs(options or {}) do given[name] = value end
    if type(given.limit) == "function" then given.limit = given.limit() end
    local page, next_cursor = assert(handle[method](handle, given))
    n = n + 1
    assert(next_cursor == nil or #page == (given.limit or #page), "a page that is not the last is full")
    assert(next_cursor == nil or (type(next_cursor) == "string" and #next_cursor < 400
      and next_cursor:find("^[%w_-]+$")), "a cursor is a short text that needs no escaping")
    table.move(page, 1, #page, #list + 1, list)
    cursor = next_cursor
    if between then between(n) end
  until not cursor
  return list, n
end

-- What is no good cursor, made of a good one.
function pages.forged(cursor)
  local function swapped(at)
    local byte = cursor:sub(at, at)
    return cursor:sub(1, at - 1) .. (byte == "A" and "B" or "A") .. cursor:sub(at + 1)
  end
  local list = {
    "", "x", "0", "null", "é", "a\0b", "\255", cursor .. "A", cursor .. "=", " " .. cursor, cursor .. cursor,
    cursor:lower(), cursor:sub(2), ("A"):rep(100000), cursor .. "\n",
  }
  for i = 1, #cursor do
    list[#list + 1] = swapped(i)
    list[#list + 1] = cursor:sub(1, i - 1)
  end
  return list
end

return pages
