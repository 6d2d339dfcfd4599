---@meta convstore
--- The module, for lua-language-server and other editors that read LuaCATS. Nothing here runs: the definitions stand in
--- for the C module, and spec/meta_spec.lua compares them with it. docs/reference.md has the prose and the examples.

---@class convstore
---@field _VERSION string "convstore X.Y.Z"
---@field null lightuserdata JSON null, the NULL pointer; equal to lua-cjson's `null`
local convstore = {}

---@alias convstore.Code
---| "not_found"   # no such conversation, message or user; or it is deleted
---| "invalid"     # a value breaks a rule; the message names the field
---| "too_large"   # content, a JSON value or what a context must hold is too long
---| "conflict"    # `expect` did not match; a key, an id or a file's name is taken
---| "busy"        # a lock was not had in time; try again, with the same id
---| "timeout"     # the server has the call but gave no answer in time; try again, with the same id
---| "unavailable" # the file or the server could not be reached; try again, with the same id
---| "schema"      # a migration is due, or the database is newer than this library
---| "full"        # the disk is full
---| "readonly"    # the file, the store or the server takes no writes
---| "corrupt"     # a damaged database, or a file that is none
---| "denied"      # the server or the file system refuses this login, or a privilege is missing
---| "unsupported" # too old a database, or what this kind of database does not do
---| "internal"    # a defect of convstore

---@alias convstore.Role "user"|"assistant"|"system"|"developer"|"tool"
---@alias convstore.Status "active"|"archived"|"closed"

---A value that can be JSON: tables, strings, numbers, booleans, `convstore.null`; at most 64 levels deep.
---@alias convstore.Json table|string|number|boolean|lightuserdata

---@class convstore.OpenOptions
---@field migrate? boolean absent: an empty database is set up, an older one brought up to date on SQLite only; true: both everywhere; false: neither
---@field durability? "full"|"normal" what an append that returned survives: "full" (default) a power cut, "normal" a killed process or server
---@field timeout? number seconds for one call, waiting and reconnecting included; default 10
---@field text? "strict"|"replace" bytes that are no UTF-8: "strict" (default) refuses them, "replace" makes each U+FFFD
---@field readonly? boolean
---@field max_content_bytes? integer of one content or JSON value: default 1,048,576, at most 16,777,216
---@field count_tokens? fun(message: convstore.NewMessage): integer called at append where no token_count is given; default: a quarter of the bytes, rounded up
---@field log? fun(event: convstore.Event) told of retries, reconnections, slow calls …, after the call
---@field slow_ms? integer from how many milliseconds on a call is "slow"; default 1,000; 0: every call
---@field users? string "TABLE(COLUMN)": when the schema is first made, user ids take that column's type and refer to it
---@field schema? string PostgreSQL: where the tables are; default "convstore"
---@field role? string|false PostgreSQL: the role that each transaction takes on; default "convstore_user"; false: none
---@field operator_role? string PostgreSQL: the role for what looks at all users; default "convstore_operator"
---@field jwt_claim? string PostgreSQL, when the schema is first made: policies take the user from this claim of `request.jwt.claims`
---@field prepare? boolean|"auto" PostgreSQL: prepared statements; "auto" (default) gives them up where a pooler cannot have them

---What the function of the option `log` is told, after the call in which it happened and outside of everything that the
---database does. It may use the store, whose further events come behind, and even close it; it may not yield. Where it
---raises, the call is as if it had not, and the next event is a "log_failed". No event tells what messages say, nor a
---password; but a "notice" has the words of the database, and so those of triggers of your own.
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
---@field code? convstore.Code of what failed
---@field sqlstate? string PostgreSQL's code
---@field statement? string the statement's name in the library
---@field version? integer of the schema
---@field count? integer

---Opens a store. Blocks up to `timeout`.
---@param dsn? string a path, ":memory:", "sqlite:PATH", a "postgresql://" URI, "postgres:" and libpq's keyword=value pairs; without one CONVSTORE_DSN, else "convstore.db"
---@param options? convstore.OpenOptions
---@return convstore.Store? store
---@return string? message
---@return convstore.Code? code
---@nodiscard
function convstore.open(dsn, options) end

---A new UUID, version 7: ordered by time.
---@return string? id
---@return string? message
---@return convstore.Code? code
---@nodiscard
function convstore.uuid() end

---A time as text: "2026-01-31T23:59:59.123Z".
---@param ms integer milliseconds since 1970-01-01 UTC
---@return string? text
---@return string? message
---@return convstore.Code? code
---@nodiscard
function convstore.iso8601(ms) end

---Marks a table as a JSON array, so that it is one even when it is empty.
---@generic T: table
---@param t T
---@return T t the same table
function convstore.array(t) end

return convstore
