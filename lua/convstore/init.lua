--- convstore: conversations of chat bots, kept in SQLite or PostgreSQL.
-- The public face of the C module convstore.core, and what reads better in Lua than in C: a transaction,
-- which calls a function of the program's and lets it yield. No SQL, no pointers.

local core = require "convstore.core"

local begin, commit, rollback = core.begin, core.commit, core.rollback

--- Ends a transaction with what pcall returned of its function.
---@param transaction userdata
---@param ok boolean
---@return any ...
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
---@param fn function
---@param ... any arguments of `fn`
---@return any ... results of `fn`; nil, message, code where the transaction could not begin or commit
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

---@class convstore
---@field _VERSION string "convstore X.Y.Z"
---@field null lightuserdata JSON null, the NULL pointer
local convstore = {
  _VERSION = core._VERSION,
  null = core.null,
}

--- What the function of the option `log` is told, after the call in which it happened and outside of everything that
-- the database does. It may use the store, whose further events come behind, and even close it; it may not yield.
-- Where it raises, the call is as if it had not, and the next event is a "log_failed". No event tells what messages
-- say, nor a password; but a "notice" has the words of the database, and so those of triggers of your own.
---@class convstore.Event
---@field event
---| "dropped" # `count` events found no room
---| "fallback" # done without: prepared statements, write-ahead logging
---| "index" # a search has indexed `count` messages first
---| "log_failed" # the function raised an error
---| "lost" # a connection was lost, or did not come about in time
---| "migrate" # one step was committed; the schema is at `version` by it
---| "notice" # a notice or a warning of the database
---| "reconnect" # connected again, or at last, at try `attempt`
---| "retry" # a deadlock or a serialization failure: the call is run once more
---| "slow" # the call took `slow_ms` or longer
---| "wait" # SQLite: the call waited for the lock, 100 ms or longer in all
---@field message string one sentence
---@field at integer when, in milliseconds since 1970-01-01 UTC
---@field call? string the call's name, such as "append"
---@field elapsed_ms? integer how long it took
---@field attempt? integer which try failed ("retry"), or how many were made
---@field code? string of what failed
---@field sqlstate? string PostgreSQL's code
---@field statement? string the statement's name in the library
---@field version? integer of the schema
---@field count? integer

--- Opens a store.
---@param dsn? string a path, ":memory:", "sqlite:PATH", a "postgresql://" URI, "postgres:" and libpq's keyword=value
---pairs; without one CONVSTORE_DSN, else "convstore.db"
---@param options? convstore.OpenOptions
---@return convstore.Store? store
---@return string? message
---@return string? code
---@nodiscard
convstore.open = core.open

--- A new UUID, version 7: ordered by time.
---@return string
---@nodiscard
convstore.uuid = core.uuid

--- A time as text: "2026-01-31T23:59:59.123Z".
---@param ms integer milliseconds since 1970-01-01 UTC
---@return string? text
---@return string? message
---@return string? code
---@nodiscard
convstore.iso8601 = core.iso8601

--- Marks a table as a JSON array, so that it is one even when it is empty.
---@generic T: table
---@param t T
---@return T t the same table
convstore.array = core.array

return convstore
