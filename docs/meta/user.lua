---@meta
--- A user: whoever owns conversations. No other handle leads to them. See convstore.lua.

---@class convstore.User
---@field id string
local User = {}

---@class convstore.ConversationFields
---@field id? string a UUID; default: a new one
---@field title? string at most 2,048 bytes
---@field status? convstore.Status default "active"
---@field metadata? convstore.Json
---@field created_at? integer ms; for imports

---@class convstore.CreateFields: convstore.ConversationFields
---@field key? string 1-255 bytes, unique among the user's live conversations

---The conversation with this key, made on first use with `fields`; safe when two processes ask at once.
---@param key string the bot's own name for it, 1-255 bytes
---@param fields? convstore.ConversationFields only used where it is made
---@return convstore.Conversation? conversation
---@return string? message
---@return convstore.Code? code
---@return string? id that was tried: give it when trying again
---@nodiscard
function User:conversation(key, fields) end

---A new conversation. The same `id` again gives the same one.
---@param fields? convstore.CreateFields
---@return convstore.Conversation? conversation
---@return string? message
---@return convstore.Code? code
---@return string? id that was tried: give it when trying again
---@nodiscard
function User:create(fields) end

---@class convstore.GetOptions
---@field deleted? boolean also one that is soft-deleted

---@param id string
---@param options? convstore.GetOptions
---@return convstore.Conversation? conversation
---@return string? message
---@return convstore.Code? code
---@nodiscard
function User:get(id, options) end

---@class convstore.ListOptions
---@field limit? integer 1-1,000; default 20
---@field cursor? string from the page before
---@field order? "updated"|"created" newest first in either; default "updated"
---@field status? convstore.Status
---@field deleted? boolean|"any" soft-deleted ones: false (default) without, true only these

---@class convstore.LastMessage
---@field seq integer
---@field role convstore.Role
---@field preview? string at most 200 bytes of its text
---@field created_at integer ms

---@class convstore.Forked
---@field id string
---@field seq integer the last message that was copied

---@class convstore.Listed
---@field id string
---@field key? string
---@field user_id string
---@field title? string
---@field status convstore.Status
---@field metadata? convstore.Json
---@field created_at integer ms
---@field updated_at integer ms
---@field deleted_at? integer ms
---@field message_count integer
---@field token_count integer
---@field last_seq integer
---@field forked_from? convstore.Forked
---@field last_message? convstore.LastMessage

---A page of the user's conversations, newest first.
---@param options? convstore.ListOptions
---@return convstore.Listed[]? conversations
---@return string? cursor where there is more; or the message of a failure
---@return convstore.Code? code
---@nodiscard
function User:list(options) end

---The same as an iterator over all pages. A failure raises.
---@param options? convstore.ListOptions
---@return fun(): convstore.Listed?
---@nodiscard
function User:conversations(options) end

---@class convstore.MessagesOptions
---@field role? convstore.Role|convstore.Role[]
---@field since? integer ms, inclusive
---@field before? integer ms, exclusive
---@field limit? integer 1-1,000; default 50
---@field cursor? string from the page before

---A page of messages over all the user's conversations, newest first.
---@param options? convstore.MessagesOptions
---@return convstore.Message[]? messages
---@return string? cursor where there is more; or the message of a failure
---@return convstore.Code? code
---@nodiscard
function User:messages(options) end

---@class convstore.SearchOptions
---@field role? convstore.Role|convstore.Role[]
---@field conversation_id? string
---@field since? integer ms, inclusive
---@field before? integer ms, exclusive
---@field limit? integer 1-1,000; default 20
---@field cursor? string from the page before

---@class convstore.Hit
---@field conversation_id string
---@field title? string of the conversation
---@field message convstore.Message
---@field snippet string HTML: matches in <b>…</b>, everything else escaped
---@field score number higher is better

---Any text is a valid query: all words must occur, "a phrase", -without.
---@param text string
---@param options? convstore.SearchOptions
---@return convstore.Hit[]? hits best first
---@return string? cursor where there is more; or the message of a failure
---@return convstore.Code? code
---@nodiscard
function User:search(text, options) end

---@class convstore.UsageOptions
---@field since? integer ms, inclusive
---@field before? integer ms, exclusive
---@field by? "day"|"conversation"

---@class convstore.Sums
---@field messages integer
---@field tokens integer

---@class convstore.Usage: convstore.Sums
---@field conversations integer that have such messages
---@field by_role table<convstore.Role, convstore.Sums>

---@class convstore.UsageGroup: convstore.Sums
---@field day? string "YYYY-MM-DD", UTC
---@field conversation_id? string

---Messages and tokens: sums, or an array of them by day (oldest first) or by conversation (most tokens first).
---@param options? convstore.UsageOptions
---@return convstore.Usage|convstore.UsageGroup[]|nil usage
---@return string? message
---@return convstore.Code? code
---@nodiscard
function User:usage(options) end

---Deletes all that the user has, for good, archive and search index included.
---@return convstore.Changed? done
---@return string? message
---@return convstore.Code? code
---@return convstore.Changed? before what was done before the failure
function User:erase() end

---Closes this handle alone; conversations that came from it stay open.
---@return true
function User:close() end
