-- What store:check has found, in assertions: nothing at all, or one kind of problem and nothing else.
local problems = {}

local function show(list)
  local lines = {}
  for i, problem in ipairs(list) do
    lines[i] = ("%s %s: %s"):format(problem.problem, problem.conversation_id, problem.detail)
  end
  return #lines == 0 and "nothing" or table.concat(lines, "\n")
end

function problems.assert_sound(store)
  local list = assert(store:check())
  assert(#list == 0, "found " .. show(list))
end

-- Everything found is a `word`, and one finding is about that conversation (nil: about none) in words that match.
function problems.assert_found(store, word, id, pattern)
  local list = assert(store:check())
  local found = false
  for _, problem in ipairs(list) do
    assert(problem.problem == word, ("expected only %s, found %s"):format(word, show(list)))
    found = found or (problem.conversation_id == id and problem.detail:find(pattern) ~= nil)
  end
  assert(found, ("expected %s %s: %s, found %s"):format(word, tostring(id), pattern, show(list)))
end

return problems
