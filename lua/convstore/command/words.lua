--- The library's messages in the command's words: who types options does not call functions. What is not here reads
-- well as it is.

-- Pairs of plain texts, the longer ones first.
local WORDS = {
  "run convstore migrate up, or open with migrate = true", "run convstore migrate",
  "call store:migrate(), or run convstore migrate up", "run convstore migrate",
  "open the store again, call store:migrate(), or update convstore",
  "run convstore migrate, or update convstore",
  "which `readonly` forbids to make; open it without", "run convstore migrate",
  "open it once without `readonly`", "run convstore migrate",
  "open it without `readonly`, on a file that may be changed", "change its permissions",
  "open without role = false as a login", 'leave --database-role "" out, or connect as a login',
  "open with role = false", 'give --database-role ""',
  "open with a login that may work on all users", "connect as a login that may work on all users",
  "open with another `schema`", "give another --schema",
  "choose another `schema`", "give another --schema",
  "open it without `users`, or with the same", "leave --users out, or give the same",
  "open it without `jwt_claim`, or with the same", "leave --jwt-claim out, or give the same",
  "open with a longer `timeout`", "give a longer --timeout",
  "took longer than `timeout`", "took longer than --timeout",
  "or raise `timeout`", "or give a longer --timeout",
  "try again with the same id", "try again",
  "the table that `users` named", "the table of users",
}

--- A message of the library's as it suits a shell.
---@param message string
---@return string
return function(message)
  for i = 1, #WORDS, 2 do
    local first, last = message:find(WORDS[i], 1, true)
    if first then
      message = message:sub(1, first - 1) .. WORDS[i + 1] .. message:sub(last + 1)
    end
  end
  return message
end
