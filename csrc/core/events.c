/*
 * The queue of events; see events.h. A ring, first come, first kept: the beginning of a trouble tells more than its
 * repetitions. Notices, of which one statement may give thousands, leave half of it to what the library itself notes.
 */
#include "events.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "migrate.h"
#include "text.h"

static void write_message(convstore_event *event, const char *format, va_list arguments) {
  char text[sizeof event->message + 1]; /* one more than fits: it tells whether a cut tears a character */
  int n = vsnprintf(text, sizeof text, format, arguments);
  size_t size = convstore__utf8_cut(text, n > 0 ? (size_t)n : 0, sizeof event->message - 1);
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)text[i] < ' ') text[i] = ' ';
  memcpy(event->message, text, size);
  event->message[size] = '\0';
}

static void clear(convstore_event *event, convstore_event_kind kind, int operation) {
  *event = (convstore_event){
      .kind = kind,
      .operation = operation,
      .at_ms = convstore__wall_ms(),
      .elapsed_ms = CONVSTORE_ABSENT,
      .attempt = CONVSTORE_ABSENT,
      .version = CONVSTORE_ABSENT,
      .count = CONVSTORE_ABSENT,
  };
}

convstore_event *convstore__event(convstore_events *events, convstore_event_kind kind, const char *format,
                                  ...) {
  size_t most = kind == CONVSTORE_EVENT_NOTICE ? CONVSTORE_MAX_EVENTS / 2 : CONVSTORE_MAX_EVENTS;
  if (events == NULL) return NULL;
  if (events->n >= most) {
    events->n_dropped++;
    return NULL;
  }
  convstore_event *event = &events->queue[(events->first + events->n) % CONVSTORE_MAX_EVENTS];
  clear(event, kind, events->operation);
  va_list arguments;
  va_start(arguments, format);
  write_message(event, format, arguments);
  va_end(arguments);
  events->n++;
  return event;
}

void convstore__events_begin(convstore_events *events, int operation) {
  events->operation = operation;
}

void convstore__events_end(convstore_events *events) {
  events->operation = -1;
}

size_t convstore__events_count(const convstore_events *events) {
  return events->n + (events->n_dropped > 0);
}

void convstore__events_clear(convstore_events *events) {
  events->n = 0;
  events->n_dropped = 0;
}

bool convstore_next_event(convstore_event *out, convstore_events *events) {
  if (events->n > 0) {
    *out = events->queue[events->first];
    events->first = (events->first + 1) % CONVSTORE_MAX_EVENTS;
    events->n--;
    return true;
  }
  if (events->n_dropped == 0) return false;
  clear(out, CONVSTORE_EVENT_DROPPED, -1);
  out->count = events->n_dropped;
  (void)snprintf(out->message, sizeof out->message, "%lld more events found no room in the queue",
                 (long long)events->n_dropped);
  events->n_dropped = 0;
  return true;
}

void convstore__event_migrated(convstore_events *events, const struct convstore_migration_step *step, bool up,
                               int64_t elapsed_ms) {
  convstore_event *event = convstore__event(
      events, CONVSTORE_EVENT_MIGRATE,
      up ? "migration %d (%s) was applied" : "migration %d (%s) was taken back", step->version, step->name);
  if (event == NULL) return;
  event->version = up ? step->version : step->version - 1;
  event->elapsed_ms = elapsed_ms;
}

void convstore__event_indexed(convstore_events *events, int64_t n_messages, int64_t elapsed_ms) {
  convstore_event *event =
      convstore__event(events, CONVSTORE_EVENT_INDEX,
                       "a search has indexed %lld messages that were new to it", (long long)n_messages);
  if (event == NULL) return;
  event->count = n_messages;
  event->elapsed_ms = elapsed_ms;
}
