rockspec_format = "3.0"
package = "convstore"
version = "0.1.0-1"

source = {
  -- What "make dist" puts beside this file, where "luarocks install" needs no network. For a rocks server it
  -- must be the address from which all can have that file.
  url = "file://convstore-0.1.0.tar.gz",
  dir = "convstore-0.1.0",
}

description = {
  summary = "Conversations of chat bots, kept in SQLite or PostgreSQL",
  detailed = [[
    Stores what users, models and tools said, in order and without loss, and gives it back as Lua tables:
    conversations by key, idempotent appends, transactions, versioned schema. A C library with a Lua binding.
  ]],
  license = "MIT",
}

dependencies = {
  "lua >= 5.4, < 5.5",
}

-- Found without flags where Debian, Fedora, Alpine and /usr/local have them; elsewhere give SQLITE_DIR, JANSSON_DIR,
-- UTF8PROC_DIR and PQ_DIR (or …_INCDIR and …_LIBDIR).
external_dependencies = {
  SQLITE = { header = "sqlite3.h", library = "sqlite3" },
  JANSSON = { header = "jansson.h", library = "jansson" },
  UTF8PROC = { header = "utf8proc.h", library = "utf8proc" },
  -- Its header is not looked for, because luarocks knows one place for a header and Debian has this one in a folder of
  -- its own.
  PQ = { library = "pq" },
}

build = {
  type = "builtin",
  modules = {
    convstore = "lua/convstore/init.lua",
    ["convstore.command.commands"] = "lua/convstore/command/commands.lua",
    ["convstore.command.database"] = "lua/convstore/command/database.lua",
    ["convstore.command.failure"] = "lua/convstore/command/failure.lua",
    ["convstore.command.help"] = "lua/convstore/command/help.lua",
    ["convstore.command.lists"] = "lua/convstore/command/lists.lua",
    ["convstore.command.migrate"] = "lua/convstore/command/migrate.lua",
    ["convstore.command.nearest"] = "lua/convstore/command/nearest.lua",
    ["convstore.command.operate"] = "lua/convstore/command/operate.lua",
    ["convstore.command.parse"] = "lua/convstore/command/parse.lua",
    ["convstore.command.retention"] = "lua/convstore/command/retention.lua",
    ["convstore.command.rows"] = "lua/convstore/command/rows.lua",
    ["convstore.command.run"] = "lua/convstore/command/run.lua",
    ["convstore.command.screen"] = "lua/convstore/command/screen.lua",
    ["convstore.command.show"] = "lua/convstore/command/show.lua",
    ["convstore.command.text"] = "lua/convstore/command/text.lua",
    ["convstore.command.times"] = "lua/convstore/command/times.lua",
    ["convstore.command.values"] = "lua/convstore/command/values.lua",
    ["convstore.json_text"] = "lua/convstore/json_text.lua",
    ["convstore.core"] = {
      -- The folders' files by name, since the builtin build knows no wildcards; tools/lint_rules compares the two.
      sources = {
        "csrc/binding/arguments.c",
        "csrc/binding/call.c",
        "csrc/binding/handles.c",
        "csrc/binding/json_decode.c",
        "csrc/binding/json_encode.c",
        "csrc/binding/log.c",
        "csrc/binding/lua_context.c",
        "csrc/binding/lua_conversation.c",
        "csrc/binding/lua_convstore.c",
        "csrc/binding/lua_fork.c",
        "csrc/binding/lua_history.c",
        "csrc/binding/lua_lists.c",
        "csrc/binding/lua_messages.c",
        "csrc/binding/lua_operators.c",
        "csrc/binding/lua_retention.c",
        "csrc/binding/lua_search.c",
        "csrc/binding/lua_store.c",
        "csrc/binding/lua_terminal.c",
        "csrc/binding/lua_transaction.c",
        "csrc/binding/lua_user.c",
        "csrc/binding/push.c",
        "csrc/binding/tokens.c",
        "csrc/core/anthropic.c",
        "csrc/core/arena.c",
        "csrc/core/backends.c",
        "csrc/core/clock.c",
        "csrc/core/context.c",
        "csrc/core/context_json.c",
        "csrc/core/cursor.c",
        "csrc/core/error.c",
        "csrc/core/events.c",
        "csrc/core/fold.c",
        "csrc/core/json.c",
        "csrc/core/json_write.c",
        "csrc/core/match.c",
        "csrc/core/message.c",
        "csrc/core/migrate.c",
        "csrc/core/names.c",
        "csrc/core/operations.c",
        "csrc/core/pages.c",
        "csrc/core/plain.c",
        "csrc/core/problems.c",
        "csrc/core/query.c",
        "csrc/core/refusal.c",
        "csrc/core/render.c",
        "csrc/core/request.c",
        "csrc/core/search.c",
        "csrc/core/search_page.c",
        "csrc/core/segment.c",
        "csrc/core/segment_reader.c",
        "csrc/core/snippet.c",
        "csrc/core/store.c",
        "csrc/core/text.c",
        "csrc/core/time.c",
        "csrc/core/users.c",
        "csrc/core/uuid.c",
        "csrc/core/wait.c",
        "csrc/core/window.c",
        "csrc/postgres/postgres_append.c",
        "csrc/postgres/postgres_backend.c",
        "csrc/postgres/postgres_call.c",
        "csrc/postgres/postgres_check.c",
        "csrc/postgres/postgres_connection.c",
        "csrc/postgres/postgres_context.c",
        "csrc/postgres/postgres_conversations.c",
        "csrc/postgres/postgres_error.c",
        "csrc/postgres/postgres_fork.c",
        "csrc/postgres/postgres_lists.c",
        "csrc/postgres/postgres_lookup.c",
        "csrc/postgres/postgres_messages.c",
        "csrc/postgres/postgres_migrate.c",
        "csrc/postgres/postgres_operators.c",
        "csrc/postgres/postgres_pipeline.c",
        "csrc/postgres/postgres_retention.c",
        "csrc/postgres/postgres_schema.c",
        "csrc/postgres/postgres_search.c",
        "csrc/postgres/postgres_statements.c",
        "csrc/postgres/postgres_usage.c",
        "csrc/postgres/postgres_users.c",
        "csrc/postgres/postgres_values.c",
        "csrc/sqlite/sqlite_append.c",
        "csrc/sqlite/sqlite_archive.c",
        "csrc/sqlite/sqlite_backend.c",
        "csrc/sqlite/sqlite_backup.c",
        "csrc/sqlite/sqlite_check.c",
        "csrc/sqlite/sqlite_connection.c",
        "csrc/sqlite/sqlite_context.c",
        "csrc/sqlite/sqlite_conversations.c",
        "csrc/sqlite/sqlite_error.c",
        "csrc/sqlite/sqlite_fork.c",
        "csrc/sqlite/sqlite_lists.c",
        "csrc/sqlite/sqlite_messages.c",
        "csrc/sqlite/sqlite_operators.c",
        "csrc/sqlite/sqlite_retention.c",
        "csrc/sqlite/sqlite_schema.c",
        "csrc/sqlite/sqlite_search.c",
        "csrc/sqlite/sqlite_search_index.c",
        "csrc/sqlite/sqlite_statements.c",
        "csrc/sqlite/sqlite_usage.c",
        "csrc/sqlite/sqlite_users.c",
      },
      defines = { "_POSIX_C_SOURCE=200809L" }, -- as in the Makefile
      -- Debian has libpq-fe.h in a folder of its own.
      incdirs = {
        "$(SQLITE_INCDIR)", "$(JANSSON_INCDIR)", "$(UTF8PROC_INCDIR)", "$(PQ_INCDIR)", "$(PQ_INCDIR)/postgresql",
      },
      libdirs = { "$(SQLITE_LIBDIR)", "$(JANSSON_LIBDIR)", "$(UTF8PROC_LIBDIR)", "$(PQ_LIBDIR)" },
      libraries = { "sqlite3", "jansson", "utf8proc", "pq", "pthread", "m" },
    },
  },
  install = {
    bin = { convstore = "tools/convstore" },
  },
}
