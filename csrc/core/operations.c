/* The table; see operations.h. */
#include "operations.h"

#define OF_USER .schema = true, .user = true
#define OF_CONVERSATION OF_USER, .conversation = true

const struct convstore_needs convstore__needs[CONVSTORE_OPERATIONS] = {
    [CONVSTORE_CREATE] = {OF_USER},
    [CONVSTORE_CONVERSATION] = {OF_USER, .reads = true},
    [CONVSTORE_GET] = {OF_CONVERSATION, .reads = true},
    [CONVSTORE_UPDATE] = {OF_CONVERSATION},
    [CONVSTORE_DELETE] = {OF_CONVERSATION},
    [CONVSTORE_RESTORE] = {OF_CONVERSATION},
    [CONVSTORE_PURGE] = {OF_CONVERSATION},
    [CONVSTORE_APPEND] = {OF_CONVERSATION},
    [CONVSTORE_MESSAGE] = {OF_CONVERSATION, .reads = true},
    [CONVSTORE_HISTORY] = {OF_CONVERSATION, .reads = true},
    [CONVSTORE_BOUNDS] = {OF_CONVERSATION, .reads = true},
    [CONVSTORE_ANNOTATE] = {OF_CONVERSATION},
    [CONVSTORE_REDACT] = {OF_CONVERSATION},
    [CONVSTORE_FORK] = {OF_CONVERSATION},
    [CONVSTORE_SUMMARIZE] = {OF_CONVERSATION},
    [CONVSTORE_CONTEXT] = {OF_CONVERSATION, .reads = true},
    [CONVSTORE_LIST] = {OF_USER, .reads = true},
    [CONVSTORE_MESSAGES] = {OF_USER, .reads = true},
    [CONVSTORE_SEARCH] = {OF_USER, .reads = true},
    [CONVSTORE_USAGE] = {OF_USER, .reads = true},
    [CONVSTORE_ERASE] = {OF_USER},
    [CONVSTORE_PURGE_OLD] = {.schema = true},
    [CONVSTORE_ARCHIVE] = {.schema = true},
    [CONVSTORE_USERS] = {.schema = true, .reads = true},
    [CONVSTORE_CHECK] = {.schema = true, .reads = true},
    [CONVSTORE_STATS] = {.schema = true, .reads = true},
    [CONVSTORE_BACKUP] = {.schema = true, .reads = true},
    [CONVSTORE_BEGIN] = {.schema = true},
    [CONVSTORE_COMMIT] = {.schema = true},
    [CONVSTORE_ROLLBACK] = {.schema = true},
};
