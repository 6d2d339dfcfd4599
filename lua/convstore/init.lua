--- convstore: conversations of chat bots, kept in SQLite or PostgreSQL.
-- The public face of the C module convstore.core, and what reads better in Lua than in C: a transaction,
-- which calls a function of the program's and lets it yield. No SQL, no pointers.

local core = require "convstore.core"

local begin, commit, rollback = core.begin, core.commit, core.rollback

--- Ends a transaction with what pcall returned of its function.
local function finish(transaction, ok, ...)
  local first, second = ...
  if not ok then
    rollback(transaction) -- now: nothing closes the variables of a coroutine that dies of an error
    error(first, 0)
  end
  if first == nil and second ~= nil then
    rollback(transaction)
    return ...
  end
  local committed, message, code = commit(transaction)
  if not committed then
    return nil, message, code
  end
  return ...
end

--- Calls `fn(...)` inside one transaction; inside another one, in a savepoint.
-- Commits and returns what `fn` returns. Rolls back where `fn` raises, and raises the same again; where it
-- returns `nil, message, ...`, and returns the same; and where its coroutine is closed or dropped. Until then
-- calls through other coroutines give "busy".
-- The results of `fn`; nil, message, code where the transaction could not begin or commit.
function core.store.transaction(store, fn, ...)
  if type(fn) ~= "function" then
    error(("bad argument #1 to 'transaction' (function expected, got %s)"):format(type(fn)), 2)
  end
  local transaction <close>, message, code = begin(store)
  if not transaction then
    return nil, message, code
  end
  return finish(transaction, pcall(fn, ...))
end

-- What editors are told of the module stands in docs/meta, in one place.
local convstore = {
  _VERSION = core._VERSION,
  null = core.null,
  open = core.open,
  uuid = core.uuid,
  iso8601 = core.iso8601,
  array = core.array,
}

return convstore
