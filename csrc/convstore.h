/**
 * convstore: conversations of chat bots, kept in SQLite or PostgreSQL.
 *
 * The public C interface; the Lua module is a thin binding over it. It knows handles, requests, results, statuses
 * and errors. It does not know Lua, SQLite or libpq.
 *
 * One decision shapes it: an operation is a value. The caller fills a `convstore_request`, hands it down once, and gets
 * one `convstore_result` up. So a call can be validated before anything is opened, tried again with the same ids,
 * run on another thread, or stepped by an event loop, and a new operation adds an enumerator instead of a family of
 * functions.
 *
 * Ownership words: *borrowed*: the caller keeps it alive and unchanged until the call returns; *owned*: the receiver
 * frees it with the named function. Sizes are bytes, times are milliseconds since 1970-01-01 UTC, text is UTF-8 without
 * NUL bytes. A handle may move between threads but serves one call at a time.
 */
#ifndef CONVSTORE_H
#define CONVSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONVSTORE_VERSION "0.1.0"

#if defined(__GNUC__)
#define CONVSTORE_API __attribute__((visibility("default")))
#else
#define CONVSTORE_API
#endif

/** Limits, in bytes; the database enforces them as well where they are about what is stored. */
#define CONVSTORE_MAX_USER_ID 255
#define CONVSTORE_MAX_KEY 255
#define CONVSTORE_MAX_TITLE 2048
#define CONVSTORE_MAX_NAME 2048
#define CONVSTORE_MAX_TOOL_CALL_ID 65536
#define CONVSTORE_MAX_CONTENT 16777216
#define CONVSTORE_DEFAULT_CONTENT 1048576
#define CONVSTORE_PREVIEW 200
/** Rows of one page of a list. */
#define CONVSTORE_MAX_PAGE 1000
/** Problems that a check tells. */
#define CONVSTORE_MAX_PROBLEMS 1000
/** Levels of tables in one JSON value; the outermost counts as 1. */
#define CONVSTORE_MAX_JSON_DEPTH 64

/** An integer that is not there. */
#define CONVSTORE_ABSENT INT64_MIN

/** Room for a UUID's text and its NUL. */
#define CONVSTORE_ID_SIZE 37

/** What every fallible function returns. The names are those of the Lua contract: CONVSTORE_E_BUSY is "busy". */
typedef enum convstore_status {
  CONVSTORE_OK = 0,
  CONVSTORE_E_NOT_FOUND = -1,
  CONVSTORE_E_INVALID = -2,
  CONVSTORE_E_TOO_LARGE = -3,
  CONVSTORE_E_CONFLICT = -4,
  CONVSTORE_E_BUSY = -5,
  CONVSTORE_E_TIMEOUT = -6,
  CONVSTORE_E_UNAVAILABLE = -7,
  CONVSTORE_E_SCHEMA = -8,
  CONVSTORE_E_FULL = -9,
  CONVSTORE_E_READONLY = -10,
  CONVSTORE_E_CORRUPT = -11,
  CONVSTORE_E_DENIED = -12,
  CONVSTORE_E_UNSUPPORTED = -13,
  CONVSTORE_E_INTERNAL = -14,
  CONVSTORE_E_MEMORY = -15 /**< an allocation failed; nothing was written */
} convstore_status;

/** Why a call failed; it means nothing after one that did not. Fixed in size, so that running out of memory can be
 *  reported too. */
typedef struct convstore_error {
  int status;        /**< a convstore_status */
  int native;        /**< the database's own code (SQLite: extended result code), 0 if there is none */
  char message[640]; /**< one sentence that starts with the status's name and a colon */
} convstore_error;

/** UTF-8 text with its length; `data == NULL` is absent, `size == 0` with data is the empty string. */
typedef struct convstore_text {
  const char *data;
  size_t size;
} convstore_text;

typedef enum convstore_role {
  CONVSTORE_ROLE_USER = 0,
  CONVSTORE_ROLE_ASSISTANT,
  CONVSTORE_ROLE_SYSTEM,
  CONVSTORE_ROLE_DEVELOPER,
  CONVSTORE_ROLE_TOOL,
  CONVSTORE_ROLES /**< how many there are */
} convstore_role;

typedef enum convstore_mark { /* a conversation's `status`: the application's mark, which refuses nothing */
  CONVSTORE_MARK_ACTIVE = 0,
  CONVSTORE_MARK_ARCHIVED,
  CONVSTORE_MARK_CLOSED,
  CONVSTORE_MARKS
} convstore_mark;

/** One message. JSON fields are texts of JSON: arrays for parts, tool_calls and attachments. */
typedef struct convstore_message {
  char id[CONVSTORE_ID_SIZE]; /**< "" on append: made by the library and written here before the first try */
  int64_t seq;                /**< given by the database */
  convstore_role role;
  convstore_text content; /**< absent, or the text; then parts is absent */
  convstore_text parts;   /**< content parts; then content is absent */
  convstore_text name;
  convstore_text tool_calls;
  convstore_text tool_call_id; /**< required of a tool message */
  convstore_text attachments;
  convstore_text metadata;
  int64_t token_count;    /**< CONVSTORE_ABSENT on append: a quarter of the content's bytes, rounded up */
  int64_t created_at_ms;  /**< CONVSTORE_ABSENT on append: now */
  int64_t updated_at_ms;  /**< CONVSTORE_ABSENT unless annotated */
  int64_t redacted_at_ms; /**< CONVSTORE_ABSENT unless redacted */
} convstore_message;

#define CONVSTORE_MESSAGE_INIT                                                                               \
  {                                                                                                          \
    .token_count = CONVSTORE_ABSENT, .created_at_ms = CONVSTORE_ABSENT, .updated_at_ms = CONVSTORE_ABSENT,   \
    .redacted_at_ms = CONVSTORE_ABSENT                                                                       \
  }

/** One conversation, as the database has it. The number of its messages is `last_seq`. */
typedef struct convstore_conversation {
  char id[CONVSTORE_ID_SIZE];
  convstore_text key;
  convstore_text title;
  convstore_text metadata; /**< JSON */
  convstore_mark mark;
  int64_t created_at_ms;
  int64_t updated_at_ms;
  int64_t deleted_at_ms; /**< CONVSTORE_ABSENT unless soft-deleted */
  int64_t last_seq;
  int64_t token_count;
  char forked_from_id[CONVSTORE_ID_SIZE]; /**< "" unless a fork */
  int64_t forked_from_seq;
} convstore_conversation;

/** One conversation of a list, with the beginning of its last message. */
typedef struct convstore_listed {
  convstore_conversation conversation;
  convstore_role role; /**< of the last message; this and the next two mean nothing where last_seq is 0 */
  /** Of its text, CONVSTORE_PREVIEW bytes at most, cut at a character; absent: it has none. */
  convstore_text preview;
  int64_t message_created_at_ms;
} convstore_listed;

/** What a search says of one of its messages. */
typedef struct convstore_hit {
  convstore_text title;   /**< of the conversation */
  convstore_text snippet; /**< HTML: matches in <b>...</b>, everything else escaped */
  double score;           /**< higher is better */
} convstore_hit;

/** A group of messages of a usage. `by` says which of the first three names it. */
typedef struct convstore_usage {
  convstore_role role;
  int64_t day; /**< since 1970-01-01, UTC */
  char conversation_id[CONVSTORE_ID_SIZE];
  int64_t messages;
  int64_t tokens;
} convstore_usage;

/** What stands in a context for messages 1 ... through. */
typedef struct convstore_summary {
  int64_t through;
  convstore_text content;
  convstore_text metadata; /**< JSON */
  int64_t token_count;
  int64_t created_at_ms;
} convstore_summary;

/** How a context came about. */
typedef struct convstore_context {
  int64_t tokens;   /**< of all that is in it, system text included */
  int64_t messages; /**< elements of the array */
  int64_t
      dropped; /**< messages that are not in it, of those behind the latest summary; system ones do not count */
  int64_t first_seq;     /**< of the first message in it that is no system one; 0: there is none */
  convstore_text system; /**< FORMAT_ANTHROPIC: the system text; absent: there is none */
} convstore_context;

/** One user, for operators. */
typedef struct convstore_user {
  convstore_text user_id;
  int64_t conversations;
  int64_t messages;
  int64_t updated_at_ms; /**< of the conversation that was written last */
} convstore_user;

/**
 * Something that is not as it should be. `problem` is one of these words, in whose order problems come:
 * - "counter": a conversation's last_seq, token_count or pinned_token_count, or a message's token_total, is wrong;
 * - "damage": SQLite: PRAGMA quick_check says so;
 * - "foreign_keys": SQLite: a user id that the table of the option `users` does not have; PostgreSQL: a foreign key
 *   that is switched off;
 * - "gap": messages are missing between others;
 * - "misplaced": messages lie in the table of archived ones and should not, or the other way round;
 * - "orphan": rows without their conversation or segment;
 * - "rls_bypassed": PostgreSQL: row-level security does not bind what normal calls run as;
 * - "rls_missing": PostgreSQL: it does not guard a table;
 * - "schema": an index is missing or not valid, or (PostgreSQL) a constraint is missing or not validated;
 * - "search": the search index does not agree with the messages, has lost some of their words, or cannot be read;
 * - "summary": one stands for messages that are not there;
 * - "more": there are more problems than CONVSTORE_MAX_PROBLEMS. It comes last.
 * Where messages are missing or lie in two tables, the sums over them are not judged.
 */
typedef struct convstore_problem {
  convstore_text problem;
  char conversation_id[CONVSTORE_ID_SIZE]; /**< "" where it is about none */
  convstore_text detail;                   /**< one sentence, which names the user */
} convstore_problem;

typedef struct convstore_stats {
  const char *backend; /**< "sqlite", "postgres"; not to be freed */
  convstore_text backend_version;
  int64_t users;
  int64_t conversations;
  int64_t messages;
  int64_t archived_messages;
  int64_t bytes; /**< of our tables and indexes; SQLite: of the file */
} convstore_stats;

/** One step of the schema's history. */
typedef struct convstore_migration {
  int version;
  const char *name;
  int64_t applied_at_ms; /**< CONVSTORE_ABSENT: pending */
  const char *up;        /**< the SQL that applies it to this database */
  const char *down;
} convstore_migration;

/** What may be asked. Each names the request's fields that it reads and the result's that it fills. */
typedef enum convstore_operation {
  /** A new conversation from `conversation`; its empty id is filled in. The same id again gives the same one.
   *  -> conversation. E_CONFLICT: the key is taken, or the id belongs to a soft-deleted one. */
  CONVSTORE_CREATE = 1,
  /** The live conversation with conversation.key, created from `conversation` if there is none. -> conversation. */
  CONVSTORE_CONVERSATION,
  /** The conversation conversation_id; a soft-deleted one only with `deleted`. -> conversation. */
  CONVSTORE_GET,
  /** Changes the fields of `conversation` that `changes` names; `merge` merges metadata. -> conversation. */
  CONVSTORE_UPDATE,
  /** Soft delete, its undo, and hard delete, of conversation_id. DELETE and RESTORE -> conversation. */
  CONVSTORE_DELETE,
  CONVSTORE_RESTORE,
  CONVSTORE_PURGE,
  /** Adds messages[n_messages], all or none; `expect` is the last seq seen or CONVSTORE_ABSENT. A message whose id is
   *  stored already with the same role and content comes back as stored. Empty ids are filled in.
   *  -> messages (their texts borrow from the request, or are owned where they were read back), conversation's
   *  counters, mark and updated_at. E_CONFLICT: `expect`, or an id that is another message's. */
  CONVSTORE_APPEND,
  /** One message of conversation_id, by message_id if that is not "", else by seq. -> messages[1]. */
  CONVSTORE_MESSAGE,
  /** Messages of conversation_id with after < seq < before and a role in `roles` (bits 1 << role; 0: any), at most
   *  `limit`, counted from the end if `from_end`; oldest first, unless `descending`. With `max_bytes`, it stops after
   *  the message that brings the texts over it, and says so in `more`. -> messages, more. */
  CONVSTORE_HISTORY,
  /** The first and last seq of what HISTORY would give, without its messages. -> first_seq, last_seq (0: none). */
  CONVSTORE_BOUNDS,
  /** Merges `metadata` (RFC 7396) into the metadata of message `seq`. -> messages[1]. */
  CONVSTORE_ANNOTATE,
  /** Removes what message `seq` says, keeping seq, id, role, times, tokens and tool_call_id. -> messages[1]. */
  CONVSTORE_REDACT,
  /** A new conversation, `conversation`, that begins with messages 1 ... `at` (CONVSTORE_ABSENT: all) of
   *  conversation_id, copied with their ids, seqs and times; its empty id is filled in. The same id again gives the
   *  same fork. -> conversation. E_CONFLICT: the key is taken, or the id belongs to what is no such fork. */
  CONVSTORE_FORK,
  /** Stores `text` as the summary of messages 1 ... `through` (CONVSTORE_ABSENT: all so far), with `token_count` and
   *  `metadata`. -> summary. E_INVALID: through is outside 1 ... last_seq. */
  CONVSTORE_SUMMARIZE,
  /** What to send to a model: system and developer messages and the latest summary first (unless no_system), then the
   *  newest messages that fit max_tokens - reserve and max_messages, tool exchanges whole. -> context and, in
   *  FORMAT_OPENAI without as_json, messages (a summary is a system message with seq 0 and the id ""); else json.
   *  E_TOO_LARGE: not even the newest message fits. */
  CONVSTORE_CONTEXT,
  /** A page of the user's conversations, newest first: those with `mark_only`'s mark where that is set, deleted or not
   *  as deleted_filter says, by updated_at or `by_created`; at most `limit` (20), behind `cursor`. -> listed,
   *  cursor. */
  CONVSTORE_LIST,
  /** A page of messages over all the user's conversations, newest first: with a role in `roles`, since_ms <= created_at
   *  < before_ms; at most `limit` (50), behind `cursor`. -> messages, conversation_ids, cursor. */
  CONVSTORE_MESSAGES,
  /** A page of the messages that `text` finds, best first: filtered as above, and by conversation_id unless that is "";
   *  at most `limit` (20), behind `cursor`. -> messages, conversation_ids, hits, cursor. */
  CONVSTORE_SEARCH,
  /** Messages and tokens of the user with since_ms <= created_at < before_ms, in groups as `by` says. -> usage,
   *  n_conversations (how many have such messages). */
  CONVSTORE_USAGE,
  /** Deletes a part of what the user has, for good: as much as is done in a short transaction. -> n_conversations,
   *  n_messages_changed, more. */
  CONVSTORE_ERASE,
  /* Of all users, for operators; E_DENIED: the login may not. The next two do a part as well. */
  /** Deletes conversations for good that were deleted before deleted_before_ms, or written last before idle_before_ms;
   *  at most `limit`. -> as ERASE. */
  CONVSTORE_PURGE_OLD,
  /** Moves the messages of conversations to the archive that were written last before idle_before_ms; at most `limit`.
   *  -> as ERASE. */
  CONVSTORE_ARCHIVE,
  /** A page of users, by user_id; at most `limit` (20), behind `cursor`. What is deleted counts. -> users, cursor. */
  CONVSTORE_USERS,
  /** Compares all that is stored with itself, as it is at one moment (on PostgreSQL the search index's insides are read
   *  in parts, each as it is at its own); holds nobody up. -> problems. */
  CONVSTORE_CHECK,
  /** Sums over what is stored, deleted or not, without reading a message. -> stats, schema_version. */
  CONVSTORE_STATS,
  /** Copies what is committed to the new file `path`, while others write: the whole, or, after a failure, nothing. Not
   *  in a transaction. E_CONFLICT: there is such a file; E_UNSUPPORTED on PostgreSQL. */
  CONVSTORE_BACKUP,
  /** A transaction around later calls of this handle; inside one, a savepoint. COMMIT and ROLLBACK end the innermost
   *  one. */
  CONVSTORE_BEGIN,
  CONVSTORE_COMMIT,
  CONVSTORE_ROLLBACK,
  /** -> schema_version, newest_version. */
  CONVSTORE_SCHEMA_VERSION,
  /** -> migrations, schema_version, newest_version. */
  CONVSTORE_MIGRATIONS,
  /** Up or down to `target` (CONVSTORE_ABSENT: the newest), all or nothing. -> schema_version, newest_version. */
  CONVSTORE_MIGRATE,
  CONVSTORE_OPERATIONS /**< one more than the last */
} convstore_operation;

enum { /* bits of convstore_request.changes */
  CONVSTORE_CHANGE_TITLE = 1,
  CONVSTORE_CHANGE_MARK = 2,
  CONVSTORE_CHANGE_METADATA = 4,
  CONVSTORE_CHANGE_KEY = 8
};

typedef enum convstore_deleted_filter {
  CONVSTORE_DELETED_NO = 0,
  CONVSTORE_DELETED_ONLY,
  CONVSTORE_DELETED_ANY
} convstore_deleted_filter;

typedef enum convstore_format { /* of a context */
  CONVSTORE_FORMAT_OPENAI = 0,
  CONVSTORE_FORMAT_ANTHROPIC
} convstore_format;

typedef enum convstore_by { /* the groups of a usage */
  CONVSTORE_BY_ROLE = 0,
  CONVSTORE_BY_DAY,         /**< oldest first */
  CONVSTORE_BY_CONVERSATION /**< most tokens first */
} convstore_by;

/** Where a page begins, behind the row that these name: filled in from `cursor` by the library. */
typedef struct convstore_position {
  bool set;
  int64_t time_ms;
  char id[CONVSTORE_ID_SIZE]; /**< LIST: the conversation's; MESSAGES: the message's; SEARCH: "" */
  char conversation_id[CONVSTORE_ID_SIZE]; /**< MESSAGES, SEARCH */
  int64_t seq;                             /**< SEARCH, as all that follow */
  int64_t score;
  int64_t now_ms; /**< when the first page was asked for: scores depend on it */
  size_t n_weights;
  unsigned char weights[32]; /**< of the query's units, fixed by the first page */
  size_t n_user_id;
  char user_id[CONVSTORE_MAX_USER_ID]; /**< USERS, and nothing else */
} convstore_position;

/** What a caller asks. Texts are borrowed. Zeroed fields are absent; start from CONVSTORE_REQUEST_INIT. */
typedef struct convstore_request {
  convstore_operation operation;
  convstore_text user_id; /**< 1-255 bytes; whose data the call may touch */
  char conversation_id[CONVSTORE_ID_SIZE];
  convstore_conversation conversation; /**< CREATE, CONVERSATION, UPDATE; id is filled in where it is "" */
  unsigned changes;
  bool merge;
  bool deleted;
  convstore_message *messages; /**< APPEND; ids are filled in where they are "" */
  size_t n_messages;
  int64_t expect;
  char message_id[CONVSTORE_ID_SIZE];
  int64_t seq;
  convstore_text metadata;
  int64_t after;  /**< exclusive; CONVSTORE_ABSENT: from the first */
  int64_t before; /**< exclusive; CONVSTORE_ABSENT: to the last */
  int64_t limit;  /**< rows; CONVSTORE_ABSENT: all */
  bool from_end;
  bool descending;
  unsigned roles;
  size_t max_bytes; /**< 0: no limit */
  int64_t at;
  int64_t through;
  convstore_text text;
  int64_t token_count;  /**< CONVSTORE_ABSENT: a quarter of the text's bytes, rounded up */
  int64_t max_tokens;   /**< CONVSTORE_ABSENT: no limit */
  int64_t max_messages; /**< CONVSTORE_ABSENT: no limit */
  int64_t reserve;      /**< tokens of max_tokens that are left free */
  bool no_system;
  bool as_json;
  convstore_format format;
  bool mark_only;
  convstore_mark mark;
  convstore_deleted_filter deleted_filter;
  bool by_created;
  convstore_by by;
  int64_t since_ms;          /**< inclusive; CONVSTORE_ABSENT: from the first */
  int64_t before_ms;         /**< exclusive; CONVSTORE_ABSENT: to the last */
  int64_t deleted_before_ms; /**< CONVSTORE_ABSENT: none for that reason */
  int64_t idle_before_ms;    /**< the same */
  convstore_text path;       /**< of bytes, as the system has them */
  convstore_text cursor;
  convstore_position position; /**< the library's: what `cursor` means */
  int64_t target;
} convstore_request;

#define CONVSTORE_REQUEST_INIT                                                                               \
  {                                                                                                          \
    .conversation = {.created_at_ms = CONVSTORE_ABSENT}, .expect = CONVSTORE_ABSENT,                         \
    .after = CONVSTORE_ABSENT, .before = CONVSTORE_ABSENT, .limit = CONVSTORE_ABSENT,                        \
    .at = CONVSTORE_ABSENT, .through = CONVSTORE_ABSENT, .token_count = CONVSTORE_ABSENT,                    \
    .max_tokens = CONVSTORE_ABSENT, .max_messages = CONVSTORE_ABSENT, .since_ms = CONVSTORE_ABSENT,          \
    .before_ms = CONVSTORE_ABSENT, .deleted_before_ms = CONVSTORE_ABSENT,                                    \
    .idle_before_ms = CONVSTORE_ABSENT, .target = CONVSTORE_ABSENT                                           \
  }

/** What comes back; start from zeroes, free with convstore_result_free() whatever the status was. */
typedef struct convstore_result {
  convstore_conversation conversation;
  convstore_message *messages;
  size_t n_messages;
  char (*conversation_ids)[CONVSTORE_ID_SIZE]; /**< MESSAGES, SEARCH: of each message */
  convstore_hit *hits;                         /**< SEARCH: of each message */
  convstore_listed *listed;
  size_t n_listed;
  convstore_text cursor; /**< of the next page; absent: this is the last one */
  convstore_usage *usage;
  size_t n_usage;
  int64_t n_conversations;
  int64_t n_messages_changed;
  convstore_user *users;
  size_t n_users;
  convstore_problem *problems;
  size_t n_problems;
  convstore_stats stats;
  convstore_summary summary;
  convstore_context context;
  convstore_text json;
  bool more;
  int64_t first_seq;
  int64_t last_seq;
  convstore_migration *migrations;
  size_t n_migrations;
  int schema_version;
  int newest_version;
  struct convstore_arena *memory; /**< owns everything above that was not borrowed */
} convstore_result;

typedef enum convstore_migrate {
  CONVSTORE_MIGRATE_DEFAULT = 0, /**< set up an empty database; update an older one where that is safe */
  CONVSTORE_MIGRATE_ALWAYS,
  CONVSTORE_MIGRATE_NEVER /**< open whatever the schema is; other calls give E_SCHEMA until it is right */
} convstore_migrate;

/** Prepared statements on PostgreSQL. */
typedef enum convstore_prepare {
  CONVSTORE_PREPARE_AUTO = 0, /**< prepared, unless a pooler between turns out not to have them */
  CONVSTORE_PREPARE_ALWAYS,
  CONVSTORE_PREPARE_NEVER
} convstore_prepare;

/** What happened during calls; see convstore_events. */
typedef enum convstore_event_kind {
  CONVSTORE_EVENT_DROPPED = 0, /**< `count` events found no room in the queue */
  CONVSTORE_EVENT_FALLBACK,    /**< something is done without: prepared statements, write-ahead logging */
  CONVSTORE_EVENT_INDEX,       /**< a search has indexed `count` messages first */
  CONVSTORE_EVENT_LOG_FAILED,  /**< for a binding: whoever takes the events failed to */
  CONVSTORE_EVENT_LOST,        /**< a connection was lost, or did not come about in time */
  CONVSTORE_EVENT_MIGRATE,     /**< one step was committed; the schema is at `version` by it */
  CONVSTORE_EVENT_NOTICE,      /**< the database's own words, severity first */
  CONVSTORE_EVENT_RECONNECT,   /**< connected again, or at last, at try `attempt` */
  CONVSTORE_EVENT_RETRY,       /**< the database undid the call, which is run once more */
  CONVSTORE_EVENT_SLOW,        /**< the call took slow_ms or longer */
  CONVSTORE_EVENT_WAIT,        /**< the call waited for a lock of another connection's */
  CONVSTORE_EVENT_KINDS
} convstore_event_kind;

/** One event. It tells nothing of what messages say, and no password. */
typedef struct convstore_event {
  convstore_event_kind kind;
  int operation;      /**< the call's convstore_operation, 0 for convstore_open; -1: in no call */
  int64_t at_ms;      /**< when it was noted, wall clock */
  int64_t elapsed_ms; /**< CONVSTORE_ABSENT where it does not apply; so are the next three */
  int64_t attempt;    /**< which try failed (RETRY), or how many were made (RECONNECT, LOST) */
  int64_t version;
  int64_t count;
  int status;            /**< of what failed; 0: nothing did */
  char sqlstate[6];      /**< PostgreSQL's code, or "" */
  const char *statement; /**< the statement's name in the library, lives for ever; NULL: not known */
  char message[320];     /**< one sentence */
} convstore_event;

#define CONVSTORE_MAX_EVENTS 48

/**
 * A queue of events, the caller's own: zeroed before convstore_open(), which gets it by its options, and alive until
 * convstore_close() has returned. It is fixed in size, so that noting an event never fails a call: what finds no room
 * is counted. Taken from between calls, by convstore_next_event(). Its members are the library's.
 */
typedef struct convstore_events {
  size_t first;
  size_t n;
  int64_t n_dropped;
  int operation;
  convstore_event queue[CONVSTORE_MAX_EVENTS];
} convstore_events;

/**
 * Ends calls from outside: from a signal handler, or from another thread. The caller owns it, zeroed, gives it to
 * convstore_open(), for as many stores as it likes, and keeps it until they are closed.
 *
 * While it is raised, what a call waits for is given up at once, be it a lock, a server or a long statement: the call's
 * transaction is undone, on PostgreSQL by a cancel request, and the call fails with E_TIMEOUT. A call that was
 * committed already succeeds. Where a server does not answer within half a second either, it is not known which; the
 * error says so, and the same call with the same id finds out. Later calls fail at once, but for COMMIT and ROLLBACK,
 * until it is cleared; the store stays usable.
 */
typedef struct convstore_interrupt {
  int raised; /**< the library's: use the functions */
} convstore_interrupt;

/** How to open. Zeroes are the defaults. The texts are copied. */
typedef struct convstore_options {
  convstore_migrate migrate;
  bool durability_normal; /**< false: a returned append survives power loss; true: a killed process */
  bool replace_text;      /**< each byte that is not UTF-8 becomes U+FFFD instead of an error */
  bool readonly;
  int64_t timeout_ms;        /**< for one call, waiting for locks included; 0: 10,000 */
  int64_t max_content_bytes; /**< 0: CONVSTORE_DEFAULT_CONTENT; at most CONVSTORE_MAX_CONTENT */
  const char *users;         /**< "TABLE(COLUMN)" that user ids refer to, or NULL; copied */
  convstore_events
      *events;     /**< where events go, borrowed until convstore_close(); NULL: nobody asks for them */
  int64_t slow_ms; /**< a call that takes as long is an event; 0: 1,000; below: every call */
  /** What ends calls early, borrowed until convstore_close(); NULL: only their timeout does. */
  const convstore_interrupt *interrupt;
  /* What follows is PostgreSQL's alone; SQLite takes no notice, so that a program moves by changing its DSN. */
  const char *schema;        /**< where the tables are; NULL: "convstore" */
  const char *role;          /**< what each transaction takes on; NULL: "convstore_user" */
  bool no_role;              /**< transactions stay the login's own */
  const char *operator_role; /**< what carries work over all users; NULL: "convstore_operator" */
  const char *
      jwt_claim; /**< the claim that row-level security takes the user from, when the schema is first created */
  convstore_prepare prepare;
} convstore_options;

typedef struct convstore convstore;

/**
 * Opens a store. Blocks up to the timeout.
 * @param out      the handle, owned: convstore_close(). Untouched on failure.
 * @param dsn      a path, ":memory:", "sqlite:PATH", a "postgresql://" URI, "postgres:" and libpq's keyword=value pairs
 * @param options  or NULL; copied
 * @return CONVSTORE_OK; E_CORRUPT: not a database; E_SCHEMA: newer or foreign schema; E_BUSY; E_READONLY; E_DENIED;
 *         E_UNAVAILABLE: no such folder; E_INVALID: an option; E_UNSUPPORTED: no such kind of database; E_FULL
 */
CONVSTORE_API int convstore_open(convstore **out, const char *dsn, const convstore_options *options,
                                 convstore_error *err);

/** Closes a store, rolling back a transaction left open. NULL is fine. */
CONVSTORE_API void convstore_close(convstore *store);

/**
 * Runs one request to its end. Blocks up to the timeout.
 * @param out      zeroed by the caller; filled on success, to be freed in any case
 * @param request  borrowed; ids that were "" are filled in before the first try, so that a caller may try again
 * @return CONVSTORE_OK or the reason, also in err (which may be NULL)
 */
CONVSTORE_API int convstore_run(convstore_result *out, convstore *store, convstore_request *request,
                                convstore_error *err);

/**
 * Takes the oldest event out of the queue. After those, what was dropped is told by one more.
 * @return false: there is none, and *out is untouched
 */
CONVSTORE_API bool convstore_next_event(convstore_event *out, convstore_events *events);

/** Ends the call under way and those that follow. Async-signal-safe and thread-safe, as the next two are. */
CONVSTORE_API void convstore_interrupt_raise(convstore_interrupt *interrupt);
/** Lets calls be made again. */
CONVSTORE_API void convstore_interrupt_clear(convstore_interrupt *interrupt);
/** NULL: it is not. */
CONVSTORE_API bool convstore_interrupt_is_raised(const convstore_interrupt *interrupt);

/** Frees what a result owns and zeroes it. */
CONVSTORE_API void convstore_result_free(convstore_result *result);

/** How many transactions are open on this handle, one inside the other. */
CONVSTORE_API int convstore_depth(const convstore *store);

/** A new UUID, version 7 (RFC 9562): time-ordered, and growing within a process. Thread-safe.
 *  @return CONVSTORE_OK, or E_INTERNAL when the system gives no random bytes */
CONVSTORE_API int convstore_uuid(char out[CONVSTORE_ID_SIZE], convstore_error *err);

/** Copies an id given by a caller. `field` names it in the error. E_INVALID: no lower-case UUID. */
CONVSTORE_API int convstore_id_set(char out[CONVSTORE_ID_SIZE], convstore_text id, const char *field,
                                   convstore_error *err);

/** "user", "assistant", ... and back; `*_parse` gives E_INVALID for another name. */
CONVSTORE_API const char *convstore_role_name(convstore_role role);
CONVSTORE_API int convstore_role_parse(convstore_role *out, convstore_text name, convstore_error *err);
CONVSTORE_API const char *convstore_mark_name(convstore_mark mark);
CONVSTORE_API int convstore_mark_parse(convstore_mark *out, convstore_text name, convstore_error *err);

/** "append" for CONVSTORE_APPEND, "open" for 0; NULL: no operation. */
CONVSTORE_API const char *convstore_operation_name(int operation);
/** "retry" for CONVSTORE_EVENT_RETRY; NULL: no event. */
CONVSTORE_API const char *convstore_event_name(convstore_event_kind kind);

/** "busy" for CONVSTORE_E_BUSY. */
CONVSTORE_API const char *convstore_status_name(int status);

/** Fills an error as the library does: "status: sentence", cut at a whole character. Returns `status`. */
CONVSTORE_API int convstore_fail(convstore_error *err, int status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/** Room for "2026-01-31T23:59:59.123Z" and its NUL. */
#define CONVSTORE_TIME_SIZE 25
/** E_INVALID outside the years 0000-9999. */
CONVSTORE_API int convstore_iso8601(char out[CONVSTORE_TIME_SIZE], int64_t time_ms, convstore_error *err);

#ifdef __cplusplus
}
#endif
#endif
