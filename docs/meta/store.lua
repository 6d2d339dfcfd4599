---@meta
--- A store: one database, one connection. See convstore.lua.

---@class convstore.Store
local Store = {}

---A user's handle. No I/O. Raises for an id that can be nobody's.
---@param id string|integer 1-255 bytes; an integer stands for its decimal digits
---@return convstore.User user
---@nodiscard
function Store:user(id) end

---Calls `fn(...)` inside one transaction; inside another one, in a savepoint. Commits and returns what `fn` returns. Rolls
---back where `fn` raises, and raises the same again; and where it returns `nil, message, …`, and returns the same. Until
---then calls through other coroutines give "busy".
---@param fn fun(...: any): any
---@param ... any arguments of `fn`
---@return any ... results of `fn`; nil, message, code where the transaction could not begin or commit
function Store:transaction(fn, ...) end

---@return integer? version of the schema; 0: there is none
---@return integer|string newest that this library knows; or the message of a failure
---@return convstore.Code? code
function Store:schema_version() end

---@class convstore.Migration
---@field version integer
---@field name string
---@field applied_at? integer ms; absent: pending
---@field up string the SQL that applies it to this database
---@field down string the SQL that takes it back

---@return convstore.Migration[]? steps oldest first
---@return string? message
---@return convstore.Code? code
---@nodiscard
function Store:migrations() end

---Migrates up or down, all or nothing, however many processes start at once.
---@param target? integer a version; default: the newest; 0 removes everything
---@return integer? version now
---@return string? message
---@return convstore.Code? code
function Store:migrate(target) end

---@class convstore.UsersOptions
---@field limit? integer 1-1,000; default 20
---@field cursor? string from the page before

---@class convstore.UserRow
---@field user_id string
---@field conversations integer soft-deleted ones included
---@field messages integer
---@field updated_at integer ms: the last write to any of the conversations

---All users, by id, for operators.
---@param options? convstore.UsersOptions
---@return convstore.UserRow[]? users
---@return string? cursor where there is more; or the message of a failure
---@return convstore.Code? code
---@nodiscard
function Store:users(options) end

---@class convstore.PurgeOptions
---@field deleted_before? integer ms: soft-deleted before this time
---@field idle_before? integer ms: written last before this time
---@field limit? integer conversations; default: all

---@class convstore.ArchiveOptions
---@field idle_before? integer ms: written last before this time; required
---@field limit? integer conversations; default: all

---@class convstore.Changed
---@field conversations integer
---@field messages integer

---Deletes conversations of all users for good, in short parts. At least one time must be given; either suffices.
---@param options convstore.PurgeOptions
---@return convstore.Changed? done
---@return string? message
---@return convstore.Code? code
---@return convstore.Changed? before what was done before the failure
function Store:purge(options) end

---Moves the messages of idle conversations to the archive table. They read, search and fork as before.
---@param options convstore.ArchiveOptions
---@return convstore.Changed? done
---@return string? message
---@return convstore.Code? code
---@return convstore.Changed? before what was done before the failure
function Store:archive(options) end

---@class convstore.Problem
---@field problem
---| "counter" # last_seq, token_count, pinned_token_count or a message's token_total is wrong
---| "damage" # SQLite: PRAGMA quick_check says so
---| "foreign_keys" # a user id that the table of `users` lacks; a foreign key that is switched off
---| "gap" # messages are missing between others
---| "misplaced" # messages lie in the wrong table, or in both
---| "orphan" # rows without their conversation or segment
---| "rls_bypassed" # PostgreSQL: row-level security does not bind what calls run as
---| "rls_missing" # PostgreSQL: it does not guard a table
---| "schema" # an index or a constraint is missing or not valid
---| "search" # the search index does not agree with the messages
---| "summary" # one stands for messages that are not there
---| "more" # there are more problems than are listed (1,000)
---@field conversation_id? string
---@field detail string one sentence, which names the user

---Compares all that is stored with itself. Changes nothing and keeps nobody from writing.
---@return convstore.Problem[]? problems empty where all is well
---@return string? message
---@return convstore.Code? code
---@nodiscard
function Store:check() end

---@class convstore.Stats
---@field backend "sqlite"|"postgres"
---@field backend_version string
---@field schema_version integer
---@field users integer
---@field conversations integer
---@field messages integer
---@field archived_messages integer
---@field bytes integer of the file; PostgreSQL: of our tables and indexes

---@return convstore.Stats? stats
---@return string? message
---@return convstore.Code? code
---@nodiscard
function Store:stats() end

---SQLite: copies the database to a new file while others write; a whole file, or none.
---@param path string
---@return true? ok
---@return string? message
---@return convstore.Code? code
function Store:backup(path) end

---Closes the store; its users and conversations raise from then on. Twice is fine.
---@return true
function Store:close() end
