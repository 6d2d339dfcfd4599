-- What the specs on searching share: asking, and enough messages to be worth an index.
local searches = {}

-- Messages from which on what was not indexed is (core/segment_size.h), and a little more.
searches.ENOUGH = 300

-- n messages that hold none of the words that the specs look for.
function searches.filler(n)
  local batch = {}
  for i = 1, n do
    batch[i] = { role = i % 2 == 1 and "user" or "assistant", content = ("filler number %d"):format(i) }
  end
  return batch
end

-- The contents that a query finds, best first.
function searches.found(user, query, options)
  local list = {}
  for i, hit in ipairs(assert(user:search(query, options))) do
    list[i] = hit.message.content
  end
  return list
end

-- The same without their order.
function searches.found_set(user, query, options)
  local list = searches.found(user, query, options)
  table.sort(list)
  return list
end

-- Where all hits are, page by page: sorted "conversation/seq".
function searches.places(user, query)
  local list, cursor = {}, nil
  repeat
    local hits
    hits, cursor = user:search(query, { limit = 1000, cursor = cursor })
    for _, hit in ipairs(assert(hits, cursor)) do
      list[#list + 1] = hit.conversation_id .. "/" .. hit.message.seq
    end
  until not cursor
  table.sort(list)
  return list
end

return searches
