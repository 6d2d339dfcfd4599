std = "lua54"
max_line_length = 110
-- Comments may be a little wider than code, as in C.
max_comment_line_length = 120
-- A method need not use its self.
self = false
exclude_files = { "build" }

files["spec"] = { std = "lua54+busted" }
files["rockspec"] = { std = "lua54+rockspec" }
-- Definitions for editors: nothing runs, and a line of LuaCATS cannot be broken.
files["docs/meta"] = { ignore = { "211", "212", "241" }, max_comment_line_length = false }
files["examples/mod_*.lua"] = { globals = { "module" } } -- Prosody gives it
