/* The rules for one message, and for the texts in it. Knows no storage and no requests. */
#ifndef CONVSTORE_CORE_MESSAGE_H
#define CONVSTORE_CORE_MESSAGE_H

#include "../convstore.h"

/* The last millisecond of the year 9999: later times have no ISO 8601 text. */
#define CONVSTORE_MAX_TIME_MS INT64_C(253402300799999)

/* What the rules need to know beside the value. */
struct convstore_rules {
  size_t max_content;
  bool replace_text;
  convstore_result *result; /* replaced texts come from its arena */
  size_t index;             /* 1, 2, 3 ...: which message of several; 0: there is only one */
  convstore_error *err;
};

/* An absent text passes every rule. Those without `replace` refuse bad bytes whatever the options say: two
 * identifiers must never become one. */
int convstore__rule_identifier(struct convstore_rules *rules, convstore_text text, const char *field,
                               size_t max);
int convstore__rule_text(struct convstore_rules *rules, convstore_text *text, const char *field, size_t max,
                         int too_long);
/* A JSON value of at most max_content bytes. */
int convstore__rule_json(struct convstore_rules *rules, convstore_text *text, const char *field);
int convstore__rule_time(struct convstore_rules *rules, int64_t time_ms, const char *field);

/* Checks a message and fills in token_count; id and created_at_ms are the caller's to fill. Empty arrays of tool calls
 * and attachments become absent. */
int convstore__rule_message(struct convstore_rules *rules, convstore_message *message);

/* *same: of the same role and content, which makes a second append of an id a replay. E_MEMORY. */
int convstore__message_same(bool *same, const convstore_message *a, const convstore_message *b,
                            convstore_error *err);

#endif
