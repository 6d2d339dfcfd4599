/*
 * What happens during a call beside its answer, for whoever keeps a log. A queue that the caller owns: noting allocates
 * nothing, calls nobody back and cannot fail. It knows no backend and no Lua.
 */
#ifndef CONVSTORE_CORE_EVENTS_H
#define CONVSTORE_CORE_EVENTS_H

#include "../convstore.h"

/*
 * Notes an event of the call under way, and returns it for its other fields to be filled in: what does not apply is
 * absent already. NULL: nobody listens (`events` is NULL), or there is no room. The sentence must not hold what
 * messages say; line breaks in it become spaces, and it is cut at a whole character.
 */
convstore_event *convstore__event(convstore_events *events, convstore_event_kind kind, const char *format,
                                  ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Between these two what is noted belongs to a call of this operation. */
void convstore__events_begin(convstore_events *events, int operation);
void convstore__events_end(convstore_events *events);

/* How many times convstore_next_event() would give one. */
size_t convstore__events_count(const convstore_events *events);

/* Forgets them all, the dropped ones too. */
void convstore__events_clear(convstore_events *events);

/* Notes that a step of a migration was committed. */
struct convstore_migration_step;
void convstore__event_migrated(convstore_events *events, const struct convstore_migration_step *step, bool up,
                               int64_t elapsed_ms);

/* Notes that a search has indexed messages. */
void convstore__event_indexed(convstore_events *events, int64_t n_messages, int64_t elapsed_ms);

#endif
