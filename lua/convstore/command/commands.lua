--- The one table of what the command can do. Parsing, --help, the manual page and the completion all read it, so that
-- none of them can forget an option. Pure data: it loads no database, and tools read it before anything is built.
--
-- An option takes a value if it has a `value` (what the value is called in texts); `kind` says how it is read (see
-- values.lua), `choices` what it may be; `postgres`: it does nothing on SQLite; `actions`: those of the command's that
-- it does something for. A command's `run` is the module whose function of the command's name does the work; `user`: it
-- needs --user; `writes`: it opens the database for writing; `patient`: it may take long, so the store's usual time
-- limit is no use.

local LIMIT_HELP = "at most N"

local TIMES = [[
A TIME is a date (2026-01-31), a date and time (2026-01-31T12:00, 2026-01-31T12:00:00Z), or an age:
30d is thirty days ago; the units are s, m (minutes), h, d and w. Without a zone a time is local, with --utc
UTC.]]

local ROLES = { "user", "assistant", "system", "developer", "tool" }

local YES = { name = "yes", help = "do not ask" }
local IDLE_BEFORE = { name = "idle-before", value = "TIME", kind = "time" }

local function with_help(option, help)
  local copy = { help = help }
  for key, value in pairs(option) do
    copy[key] = value
  end
  return copy
end

return {
  name = "convstore",
  summary = "look after the conversations that a bot keeps",
  description = {
    "Shows, searches and looks after what convstore keeps in SQLite or PostgreSQL.",
    "DSN is a file's path, sqlite:PATH, a postgresql:// URI, or postgres: and libpq's keywords and values.",
    [[
--timeout is in seconds, lock waits and connecting included; migrate, stats, check and backup may take an hour
where it is not given. --database-role and --operator-role name the roles that work takes on for one user and
over all users.]],
    [[
A command on a database with an older or newer schema fails and changes nothing; only `migrate` changes a
schema, and only it creates a file.]],
    [[
Streams (users, list, show, search) print with --json one JSON object a line (JSON Lines), the others one
JSON document. Their fields are those of the Lua functions, times in milliseconds since 1970-01-01 UTC.]],
    [[
In texts for people control characters are shown as \xNN. Colours and progress appear on a terminal
alone, and not with NO_COLOR or TERM=dumb.]],
  },
  options = {
    { name = "dsn", value = "DSN", file = true,
      help = "a file, or postgresql://…; default: CONVSTORE_DSN" },
    { name = "user", value = "ID", help = "whose conversations" },
    { name = "json", help = "print JSON, for programs" },
    { name = "utc", help = "show and read times in UTC, not in the local zone" },
    { name = "timeout", value = "SECONDS", kind = "seconds",
      help = "for one call; default: 10, for slow commands 3600" },
    { name = "schema", value = "NAME", postgres = true,
      help = "PostgreSQL: where the tables are, not in convstore" },
    { name = "database-role", value = "NAME", postgres = true,
      help = "PostgreSQL: instead of convstore_user; empty: none" },
    { name = "operator-role", value = "NAME", postgres = true,
      help = "PostgreSQL: instead of convstore_operator" },
    { name = "help", short = "h", help = "show help, of a command too" },
    { name = "version", help = "show the version" },
  },
  commands = {
    {
      name = "migrate", run = "migrate", writes = true, patient = true,
      summary = "set up the tables, or bring them to another version",
      arguments = { { name = "ACTION", optional = true, choices = { "up", "down", "status", "sql" } } },
      options = {
        { name = "to", value = "VERSION", kind = "count", actions = { up = true, down = true, sql = true },
          help = "not with status: the version to reach; 0 removes everything" },
        { name = "users", value = "TABLE(COLUMN)", actions = { up = true, sql = true },
          help = "up, new tables: the table that user ids refer to" },
        { name = "jwt-claim", value = "NAME", postgres = true, actions = { up = true, sql = true },
          help = "up, new tables, PostgreSQL: the claim that names the user" },
        { name = "yes", actions = { down = true }, help = "down: do not ask" },
      },
      description = {
        [[
up (the default) makes the tables or brings them up to date; a file that is not there is created. down
takes one step back, or those above --to VERSION, with what only they keep. status shows the steps and
when they were applied; sql prints what `migrate` with the same --to would run.]],
        "All steps are done in one transaction, or none.",
      },
      examples = {
        "convstore --dsn bot.db migrate",
        "convstore migrate status",
        "convstore migrate down --to 2",
      },
    },
    {
      name = "users", run = "lists",
      summary = "list the users, with what they have",
      options = {
        { name = "limit", value = "N", kind = "positive", help = LIMIT_HELP .. "; default: all" },
      },
      examples = { "convstore users", "convstore users --json" },
    },
    {
      name = "list", run = "lists", user = true,
      summary = "list a user's conversations, the latest first",
      options = {
        { name = "limit", value = "N", kind = "positive", help = LIMIT_HELP .. "; default: 20" },
        { name = "all", help = "all of them" },
        { name = "order", value = "ORDER", choices = { "updated", "created" },
          help = "by their last write (the default) or their creation" },
        { name = "status", value = "STATUS", choices = { "active", "archived", "closed" },
          help = "those of one status" },
        { name = "deleted", help = "those that were deleted, and not purged yet" },
      },
      description = {
        [[
CONVERSATION is the key, or the id where there is none: what `show` takes. A title in [brackets] begins
with a status other than active; a conversation without a title shows its last message.]],
      },
      examples = {
        "convstore --user 42 list",
        "convstore --user 42 list --all --status closed --json",
      },
    },
    {
      name = "show", run = "show", user = true,
      summary = "show the messages of a conversation",
      arguments = { { name = "CONVERSATION" } },
      options = {
        { name = "after", value = "SEQ", kind = "count", help = "those after message SEQ" },
        { name = "before", value = "SEQ", kind = "positive", help = "those before message SEQ" },
        { name = "limit", value = "N", kind = "positive",
          help = "the first N after --after, else the last N" },
        { name = "role", value = "ROLE", kind = "choices", choices = ROLES,
          help = "those of a role, or of several with commas between" },
      },
      description = {
        [[
CONVERSATION is an id or a key. Contents are indented; tool calls, parts of other kinds and attachments
stand in [brackets].]],
      },
      examples = {
        "convstore --user 42 show telegram:1001 --limit 20",
        "convstore --user 42 show telegram:1001 | less",
      },
    },
    {
      name = "search", run = "lists", user = true,
      summary = "search a user's messages",
      arguments = { { name = "TEXT", many = true } },
      options = {
        { name = "limit", value = "N", kind = "positive", help = LIMIT_HELP .. " hits; default: 20" },
        { name = "role", value = "ROLE", kind = "choices", choices = ROLES,
          help = "in messages of a role, or of several with commas between" },
        { name = "since", value = "TIME", kind = "time", help = "in messages from then on" },
        { name = "before", value = "TIME", kind = "time", help = "in messages before then" },
      },
      description = {
        [[
All words must occur; "a phrase" in quotes, -without for words that must not; after -- where TEXT begins
with a hyphen. The best hits come first.]],
        TIMES,
      },
      examples = {
        "convstore --user 42 search printer beeps",
        "convstore --user 42 search --since 30d '\"paper jam\"'",
      },
    },
    {
      name = "stats", run = "operate", patient = true,
      summary = "show the database's version, size and counts",
      examples = { "convstore stats --json" },
    },
    {
      name = "check", run = "operate", patient = true,
      summary = "look for damage; exit status 1 where there is any",
      description = {
        [[
Gaps, wrong counters, orphans, a search index out of step, and settings that leave the data unprotected.]],
      },
      examples = { "convstore check" },
    },
    {
      name = "purge", run = "retention", writes = true,
      summary = "delete old conversations for good",
      options = {
        { name = "deleted-before", value = "TIME", kind = "time",
          help = "those that were deleted before then" },
        with_help(IDLE_BEFORE, "those without activity since then, deleted or not"),
        { name = "limit", value = "N", kind = "positive",
          help = LIMIT_HELP .. " conversations; default: all" },
        YES,
      },
      description = {
        [[
At least one time must be given; with both, either suffices. Of all users. What is to go is counted and
shown before it is asked for; it is done in parts: after Ctrl-C the one under way is undone, those before
it stay done.]],
        TIMES,
      },
      examples = {
        "convstore purge --deleted-before 30d",
        "convstore purge --idle-before 2024-01-01 --yes",
      },
    },
    {
      name = "archive", run = "retention", writes = true,
      summary = "move idle conversations to the archive table",
      options = {
        with_help(IDLE_BEFORE, "those without activity since then; must be given"),
        { name = "limit", value = "N", kind = "positive",
          help = LIMIT_HELP .. " conversations; default: all" },
      },
      description = {
        [[
Archived conversations read and search as before; an append moves one back. Of all users. It is done in
parts: after Ctrl-C the one under way is undone, those before it stay done.]],
        TIMES,
      },
      examples = { "convstore archive --idle-before 90d" },
    },
    {
      name = "backup", run = "operate", patient = true,
      summary = "copy an SQLite database to a file, while others write",
      arguments = { { name = "PATH", file = true } },
      examples = { "convstore --dsn bot.db backup bot-2026-01-31.db" },
    },
    {
      name = "erase", run = "retention", user = true, writes = true,
      summary = "delete everything of a user for good",
      options = { YES },
      description = { "Conversations, archive and search index, deleted conversations too." },
      examples = { "convstore --user 42 erase" },
    },
  },
}
