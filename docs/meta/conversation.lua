---@meta
--- A conversation: its messages in order, and what becomes of them. See convstore.lua.

---Fields are as last read or written through this handle; assigning to one raises. They stay readable once it is closed.
---@class convstore.Conversation
---@field id string a UUID
---@field key? string
---@field user_id string
---@field title? string
---@field status convstore.Status
---@field metadata? convstore.Json a fresh copy at each read
---@field created_at integer ms
---@field updated_at integer ms
---@field deleted_at? integer ms, while it is soft-deleted
---@field message_count integer
---@field token_count integer
---@field last_seq integer
---@field forked_from? convstore.Forked
local Conversation = {}

---Stores one message. The same `id` with the same role and content again gives the stored one.
---@overload fun(self: convstore.Conversation, message: convstore.NewMessage): convstore.Message?, string?, convstore.Code?, string?
---@param role convstore.Role
---@param content string|convstore.Part[]|lightuserdata|nil
---@param fields? convstore.FurtherFields
---@return convstore.Message? message
---@return string? error
---@return convstore.Code? code
---@return string? id that was tried: give it when trying again
function Conversation:append(role, content, fields) end

---Stores several, all or none, with consecutive seqs.
---@param messages convstore.NewMessage[]
---@return convstore.Message[]? messages
---@return string? error
---@return convstore.Code? code
---@return string[]? ids that were tried: give them when trying again
function Conversation:append_many(messages) end

---@param which integer|string its seq or its id
---@return convstore.Message? message
---@return string? error
---@return convstore.Code? code
---@nodiscard
function Conversation:message(which) end

---@class convstore.HistoryOptions
---@field after? integer a seq, exclusive
---@field before? integer a seq, exclusive
---@field limit? integer counted forwards from `after` if that is given, else backwards from `before` or the end
---@field role? convstore.Role|convstore.Role[]
---@field order? "asc"|"desc"

---@param options? convstore.HistoryOptions
---@return convstore.Message[]? messages oldest first
---@return string? error
---@return convstore.Code? code
---@nodiscard
function Conversation:history(options) end

---The same as an iterator, in constant memory. A failure raises.
---@param options? convstore.HistoryOptions
---@return fun(): convstore.Message?
---@nodiscard
function Conversation:each(options) end

---@class convstore.ContextOptions
---@field max_tokens? integer
---@field max_messages? integer without system ones
---@field reserve? integer tokens of max_tokens that are left for the answer
---@field system? boolean system and developer messages and the latest summary come first; default true
---@field format? "openai"|"anthropic"

---A message as the API takes it.
---@class convstore.ApiMessage
---@field role convstore.Role
---@field content? string|convstore.Part[]
---@field name? string
---@field tool_calls? convstore.ToolCall[]
---@field tool_call_id? string

---@class convstore.ContextInfo
---@field tokens integer of all that is in the array
---@field messages integer in the array
---@field dropped integer not in the array, of those behind the latest summary
---@field first_seq? integer of the first message in it that is no system one
---@field truncated boolean dropped > 0
---@field system? string format "anthropic": the system text

---What to send to a model: the newest messages that fit, oldest first, tool exchanges whole.
---@param options? convstore.ContextOptions
---@return convstore.ApiMessage[]? messages
---@return convstore.ContextInfo|string info or the message of a failure
---@return convstore.Code? code
---@nodiscard
function Conversation:context(options) end

---The same array as one JSON string.
---@param options? convstore.ContextOptions
---@return string? json
---@return convstore.ContextInfo|string info or the message of a failure
---@return convstore.Code? code
---@nodiscard
function Conversation:context_json(options) end

---@class convstore.SummaryFields
---@field through? integer a seq; default: the last one
---@field token_count? integer
---@field metadata? convstore.Json

---@class convstore.Summary
---@field through integer
---@field content string
---@field token_count integer
---@field metadata? convstore.Json
---@field created_at integer ms

---Stores what stands in contexts for messages 1 … through.
---@param text string
---@param fields? convstore.SummaryFields
---@return convstore.Summary? summary
---@return string? error
---@return convstore.Code? code
function Conversation:summarize(text, fields) end

---Removes what one message says; seq, id, role and times stay.
---@param seq integer
---@return convstore.Message? message
---@return string? error
---@return convstore.Code? code
function Conversation:redact(seq) end

---Merges (RFC 7396) into one message's metadata.
---@param seq integer
---@param metadata convstore.Json
---@return convstore.Message? message
---@return string? error
---@return convstore.Code? code
function Conversation:annotate(seq, metadata) end

---@class convstore.UpdateFields
---@field title? string|lightuserdata
---@field status? convstore.Status
---@field metadata? convstore.Json
---@field key? string|lightuserdata
---@field merge? boolean merges metadata (RFC 7396) instead of replacing it

---Changes what is named; `convstore.null` clears.
---@param fields convstore.UpdateFields
---@return convstore.Conversation? self
---@return string? error
---@return convstore.Code? code
function Conversation:update(fields) end

---Reads the fields again.
---@return convstore.Conversation? self
---@return string? error
---@return convstore.Code? code
function Conversation:refresh() end

---@class convstore.ForkFields
---@field at? integer the last seq to copy; default: all
---@field id? string a UUID; default: a new one
---@field title? string
---@field key? string
---@field metadata? convstore.Json

---A new conversation that begins with messages 1 … at. The same `id` again gives the same fork.
---@param fields? convstore.ForkFields
---@return convstore.Conversation? fork
---@return string? error
---@return convstore.Code? code
---@return string? id that was tried: give it when trying again
function Conversation:fork(fields) end

---Hides it from every read, search and list.
---@return true? ok
---@return string? error
---@return convstore.Code? code
function Conversation:delete() end

---Undoes delete.
---@return convstore.Conversation? self
---@return string? error
---@return convstore.Code? code
function Conversation:restore() end

---Deletes it for good.
---@return true? ok
---@return string? error
---@return convstore.Code? code
function Conversation:purge() end

---Closes this handle alone.
---@return true
function Conversation:close() end
