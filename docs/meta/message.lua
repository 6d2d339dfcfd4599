---@meta
--- Messages: as they come back, and as they are given. See convstore.lua.

---A part of a content, as the chat-completions API defines them: `{ type = "text", text = … }`, `{ type = "image_url", … }`.
---@alias convstore.Part table

---@class convstore.Function
---@field name string
---@field arguments string JSON

---@class convstore.ToolCall
---@field id string
---@field type "function"
---@field function convstore.Function

---@class convstore.Attachment
---@field url? string
---@field name? string
---@field mime_type? string
---@field size? integer bytes
---@field sha256? string

---A message as it is stored: a plain table.
---@class convstore.Message
---@field id string a UUID
---@field seq integer 1, 2, 3 … in its conversation
---@field conversation_id string
---@field role convstore.Role
---@field content? string|convstore.Part[] absent where there are only tool calls or attachments, and after a redaction
---@field name? string
---@field tool_calls? convstore.ToolCall[]
---@field tool_call_id? string
---@field attachments? convstore.Attachment[]
---@field metadata? convstore.Json
---@field token_count integer
---@field created_at integer ms
---@field updated_at? integer ms, once it was annotated
---@field redacted_at? integer ms, once it was redacted

---A message to append.
---@class convstore.NewMessage
---@field role convstore.Role
---@field content? string|convstore.Part[]|lightuserdata may be absent where there are tool_calls or attachments
---@field id? string a UUID; default: a new one
---@field name? string at most 2,048 bytes
---@field tool_calls? convstore.ToolCall[]
---@field tool_call_id? string required of a tool message
---@field attachments? convstore.Attachment[]
---@field metadata? convstore.Json
---@field token_count? integer default: by `count_tokens`, else a quarter of the bytes
---@field created_at? integer ms; for imports
---@field expect? integer the last seq that the caller has seen; else "conflict"

---Fields of `append` behind role and content.
---@class convstore.FurtherFields
---@field id? string a UUID; default: a new one
---@field name? string at most 2,048 bytes
---@field tool_calls? convstore.ToolCall[]
---@field tool_call_id? string required of a tool message
---@field attachments? convstore.Attachment[]
---@field metadata? convstore.Json
---@field token_count? integer default: by `count_tokens`, else a quarter of the bytes
---@field created_at? integer ms; for imports
---@field expect? integer the last seq that the caller has seen; else "conflict"
