/*
 * A TCP proxy between the specs and a PostgreSQL server, which makes networks as bad as a spec needs them.
 *
 * Usage: proxy HOST PORT. It listens on a free port of 127.0.0.1 and prints it; then it obeys the lines of its standard
 * input, answers each with one line, and ends with the input. spec/support/proxy.lua speaks to it.
 *
 *   delay MS          what is read from now on goes on MS milliseconds later, in both directions
 *   stall, flow       nothing goes on in either direction; it does again, with what was kept
 *   stall client N    stalls after N more bytes of the clients' have gone on
 *   stall server N    the same with the server's bytes
 *   kill              closes every connection
 *   down, up          closes every connection and refuses new ones; takes them again, on the same port
 *   cut client N      after N more bytes of the clients' have gone on, closes that connection
 *   cut server N      the same with the server's bytes; N = 0: as it begins to answer; N = -1: no more of that
 *   cut commit        closes the connection as soon as a COMMIT and the Sync behind it have gone on
 *   cuts              how many of these have happened
 *   reset, count      "trips syncs connections" since the last reset (see struct counts)
 *   bytes             "CLIENT SERVER", how many of each have gone on since the last reset
 *   quit              ends
 *
 * One decision shaped it: it understands just enough of the protocol (version 3.0, unencrypted) to see where a client
 * waits, so that "one round trip" is counted by what the protocol says and by what went over the wire.
 */
#define _GNU_SOURCE /* ppoll: delays are often shorter than a millisecond */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAIRS 128
#define MAX_PREFIX 256
#define MAX_KEPT (64 * 1024) /* bytes kept in one direction before reading pauses */
#define NEVER INT64_MAX

enum {
  CLIENT,
  SERVER
}; /* whose bytes a direction carries */

struct chunk {
  struct chunk *next;
  int64_t due_us;
  size_t size, sent;
  char data[];
};

/* The client's messages, as far as they are needed: their type, length and first bytes. */
struct parser {
  bool started; /* the start-up message, which has no type, is over */
  char type;
  size_t n_header, left, n_prefix;
  unsigned char header[5];
  char prefix[MAX_PREFIX];
  char commit[MAX_PREFIX]; /* the name under which COMMIT was prepared */
  bool has_commit;         /* it was */
  bool committing;         /* a COMMIT has gone on, its Sync not yet */
};

struct pair {
  int fds[2]; /* CLIENT, SERVER; -1: a free place */
  bool connecting;
  bool ended[2]; /* this side will send no more */
  struct chunk *first[2], *last[2];
  size_t kept[2];
  struct parser parser;
};

struct counts {
  unsigned long trips; /* bursts of a client's that came after the server's last word, start-up included */
  unsigned long syncs; /* points at which a client waits by the protocol: Sync and simple queries */
  unsigned long connections; /* taken */
  unsigned long bytes[2];    /* CLIENT, SERVER: gone on */
};

static struct pair pairs[MAX_PAIRS];
static struct counts counts;
static struct addrinfo *target;
static struct sockaddr_in own;
static int listener = -1;
static int64_t delay_us;
static bool stalled;
static int64_t cut_after[2] = {-1, -1};   /* bytes still to go; -1: no cut */
static int64_t stall_after[2] = {-1, -1}; /* likewise */
static bool cut_commit;
static unsigned long cuts;
static bool server_spoke_last = true;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what) {
  fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Closes both sides. With a reset, as a network that forgets does, so that no one waits for a polite end. */
static void close_pair(struct pair *pair) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  for (int side = CLIENT; side <= SERVER; side++) {
    if (pair->fds[side] < 0) continue;
    /* The server must still read what has gone on to it, which a reset could take away again. */
    if (side == CLIENT) setsockopt(pair->fds[side], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(pair->fds[side]);
    while (pair->first[side] != NULL) {
      struct chunk *chunk = pair->first[side];
      pair->first[side] = chunk->next;
      free(chunk);
    }
  }
  memset(pair, 0, sizeof *pair);
  pair->fds[CLIENT] = pair->fds[SERVER] = -1;
}

static void close_all(void) {
  for (size_t i = 0; i < MAX_PAIRS; i++)
    if (pairs[i].fds[CLIENT] >= 0) close_pair(&pairs[i]);
}

static void listen_again(void) {
  int on = 1;
  socklen_t size = sizeof own;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, (struct sockaddr *)&own, size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr *)&own, &size) != 0)
    die("cannot listen");
  fcntl(listener, F_SETFL, O_NONBLOCK); /* a caller may be gone again before it is taken */
}

static void make_plain(int fd) {
  int on = 1;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void take_connection(void) {
  int client = accept(listener, NULL, NULL);
  size_t i = 0;
  if (client < 0) return;
  while (i < MAX_PAIRS && pairs[i].fds[CLIENT] >= 0) i++;
  int server = i < MAX_PAIRS ? socket(target->ai_family, SOCK_STREAM, 0) : -1;
  if (server < 0) {
    close(client);
    return;
  }
  make_plain(client);
  make_plain(server);
  pairs[i].fds[CLIENT] = client;
  pairs[i].fds[SERVER] = server;
  pairs[i].connecting = true;
  counts.connections++;
  if (connect(server, target->ai_addr, target->ai_addrlen) != 0 && errno != EINPROGRESS)
    close_pair(&pairs[i]);
}

static bool is_commit(const char *text) {
  return strncasecmp(text, "COMMIT", 6) == 0;
}

/* A whole message of a client's has gone on. Answers whether a COMMIT and its Sync are now behind us. */
static bool message_passed(struct parser *parser) {
  const char *text = parser->prefix; /* ends with NUL: the buffer has room for it */
  switch (parser->type) {
  case 'P': /* Parse: name, query */
    if (!is_commit(text + strlen(text) + 1)) break;
    memcpy(parser->commit, text, strlen(text) + 1);
    parser->has_commit = true;
    break;
  case 'B': /* Bind: portal, name */
    if (parser->has_commit && strcmp(text + strlen(text) + 1, parser->commit) == 0) parser->committing = true;
    break;
  case 'Q':
    counts.syncs++;
    return is_commit(text);
  case 'S': {
    bool done = parser->committing;
    counts.syncs++;
    parser->committing = false;
    return done;
  }
  default:
    break;
  }
  return false;
}

/* Follows the client's bytes that go on; the same answer for the last of them. Stops behind such a Sync: *used. */
static bool follow(struct parser *parser, const char *data, size_t size, size_t *used) {
  size_t i = 0;
  while (i < size) {
    size_t n_wanted = parser->started ? 5 : 4;
    if (parser->n_header < n_wanted) {
      parser->header[parser->n_header++] = (unsigned char)data[i++];
      if (parser->n_header < n_wanted) continue;
      const unsigned char *length = parser->header + n_wanted - 4;
      parser->type = parser->started ? (char)parser->header[0] : 0;
      parser->left =
          ((size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3]) - 4;
      parser->n_prefix = 0;
      memset(parser->prefix, 0, sizeof parser->prefix);
    } else {
      if (parser->n_prefix < MAX_PREFIX - 2) parser->prefix[parser->n_prefix++] = data[i];
      i++;
      parser->left--;
    }
    if (parser->left > 0) continue;
    parser->n_header = 0;
    if (!parser->started) {
      /* A request for TLS (80877103) is answered, then the start-up message comes. */
      parser->started = memcmp(parser->prefix, "\x04\xd2\x16\x2f", 4) != 0;
    } else if (message_passed(parser)) {
      *used = i;
      return true;
    }
  }
  *used = size;
  return false;
}

static void read_side(struct pair *pair, int side) {
  char data[16384];
  ssize_t n = read(pair->fds[side], data, sizeof data);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    pair->ended[side] = true;
    return;
  }
  struct chunk *chunk = malloc(sizeof *chunk + (size_t)n);
  if (chunk == NULL) die("no memory");
  *chunk = (struct chunk){.due_us = now_us() + delay_us, .size = (size_t)n};
  memcpy(chunk->data, data, (size_t)n);
  if (pair->last[side] != NULL && pair->first[side] != NULL)
    pair->last[side]->next = chunk;
  else
    pair->first[side] = chunk;
  pair->last[side] = chunk;
  pair->kept[side] += (size_t)n;
}

/* Sends on what is due of one side's bytes. False: the pair was closed. */
static bool write_side(struct pair *pair, int side) {
  while (!stalled && pair->first[side] != NULL && pair->first[side]->due_us <= now_us()) {
    struct chunk *chunk = pair->first[side];
    size_t size = chunk->size - chunk->sent;
    if (cut_after[side] >= 0 && size > (size_t)cut_after[side]) size = (size_t)cut_after[side];
    if (stall_after[side] >= 0 && size > (size_t)stall_after[side]) size = (size_t)stall_after[side];
    ssize_t n = size > 0 ? send(pair->fds[!side], chunk->data + chunk->sent, size, MSG_NOSIGNAL) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) {
      close_pair(pair);
      return false;
    }
    if (n > 0 && side == CLIENT && server_spoke_last) counts.trips++;
    if (n > 0) server_spoke_last = side == SERVER;
    counts.bytes[side] += (unsigned long)n;
    if (side == CLIENT) {
      size_t from = 0, used;
      while (from < (size_t)n) {
        bool committed = follow(&pair->parser, chunk->data + chunk->sent + from, (size_t)n - from, &used);
        from += used;
        if (!committed || !cut_commit) continue;
        cut_commit = false;
        cuts++;
        close_pair(pair);
        return false;
      }
    }
    chunk->sent += (size_t)n;
    pair->kept[side] -= (size_t)n;
    if (cut_after[side] >= 0) cut_after[side] -= n;
    if (stall_after[side] >= 0 && (stall_after[side] -= n) == 0) {
      stall_after[side] = -1;
      stalled = true;
    }
    if (cut_after[side] == 0) {
      cut_after[side] = -1;
      cuts++;
      close_pair(pair);
      return false;
    }
    if (chunk->sent < chunk->size) return true;
    pair->first[side] = chunk->next;
    if (chunk->next == NULL) pair->last[side] = NULL;
    free(chunk);
  }
  if (pair->ended[side] && pair->first[side] == NULL) {
    close_pair(pair);
    return false;
  }
  return true;
}

/* Whether a line is this command with a number behind it. */
static bool is_command(const char *line, const char *command, double *number) {
  size_t n = strlen(command);
  char *end = NULL;
  if (strncmp(line, command, n) != 0) return false;
  *number = strtod(line + n, &end);
  return end != line + n && *end == '\0';
}

static void obey(const char *line) {
  double number = 0;
  if (is_command(line, "delay ", &number)) {
    delay_us = (int64_t)(number * 1000);
  } else if (strcmp(line, "stall") == 0) {
    stalled = true;
  } else if (strcmp(line, "flow") == 0) {
    stalled = false;
    stall_after[CLIENT] = stall_after[SERVER] = -1;
  } else if (is_command(line, "stall client ", &number)) {
    stall_after[CLIENT] = (int64_t)number;
  } else if (is_command(line, "stall server ", &number)) {
    stall_after[SERVER] = (int64_t)number;
  } else if (strcmp(line, "kill") == 0) {
    close_all();
  } else if (strcmp(line, "down") == 0) {
    if (listener >= 0) close(listener);
    listener = -1;
    close_all();
  } else if (strcmp(line, "up") == 0) {
    if (listener < 0) listen_again();
  } else if (is_command(line, "cut client ", &number)) {
    cut_after[CLIENT] = (int64_t)number;
  } else if (is_command(line, "cut server ", &number)) {
    cut_after[SERVER] = (int64_t)number;
  } else if (strcmp(line, "cut commit") == 0) {
    cut_commit = true;
  } else if (strcmp(line, "cuts") == 0) {
    printf("%lu\n", cuts);
    return;
  } else if (strcmp(line, "reset") == 0) {
    memset(&counts, 0, sizeof counts);
    server_spoke_last = true;
  } else if (strcmp(line, "quit") == 0) {
    exit(0);
  } else if (strcmp(line, "bytes") == 0) {
    printf("%lu %lu\n", counts.bytes[CLIENT], counts.bytes[SERVER]);
    return;
  } else if (strcmp(line, "count") == 0) {
    printf("%lu %lu %lu\n", counts.trips, counts.syncs, counts.connections);
    return;
  } else {
    printf("unknown: %s\n", line);
    return;
  }
  puts("ok");
}

/* Commands come as lines on standard input, perhaps several at once. False: it has ended. */
static bool read_commands(void) {
  static char buffer[1024];
  static size_t n_kept;
  ssize_t n = read(STDIN_FILENO, buffer + n_kept, sizeof buffer - n_kept - 1);
  if (n <= 0) return false;
  n_kept += (size_t)n;
  buffer[n_kept] = '\0';
  char *line = buffer, *end;
  while ((end = strchr(line, '\n')) != NULL) {
    *end = '\0';
    obey(line);
    line = end + 1;
  }
  n_kept = strlen(line);
  memmove(buffer, line, n_kept);
  return true;
}

/* What one side of a pair waits for. */
static short events_of(const struct pair *pair, int side, int64_t *wake_us) {
  short events = 0;
  const struct chunk *waiting = pair->first[!side];
  if (pair->connecting) return side == SERVER ? POLLOUT : 0;
  if (!pair->ended[side] && pair->kept[side] < MAX_KEPT) events |= POLLIN;
  if (waiting != NULL && !stalled) {
    if (waiting->due_us <= now_us()) events |= POLLOUT;
    if (waiting->due_us < *wake_us) *wake_us = waiting->due_us;
  }
  return events;
}

static void serve_pair(struct pair *pair, short client_events, short server_events) {
  if (pair->fds[CLIENT] < 0) return;
  if (pair->connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    if (server_events == 0) return;
    getsockopt(pair->fds[SERVER], SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
      close_pair(pair);
    else
      pair->connecting = false;
    return;
  }
  if (client_events & (POLLIN | POLLHUP | POLLERR)) read_side(pair, CLIENT);
  if (server_events & (POLLIN | POLLHUP | POLLERR)) read_side(pair, SERVER);
  if (write_side(pair, CLIENT)) write_side(pair, SERVER);
}

int main(int argc, char **argv) {
  static struct pollfd polled[2 + 2 * MAX_PAIRS];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &target) != 0) {
    fprintf(stderr, "usage: proxy HOST PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < MAX_PAIRS; i++) pairs[i].fds[CLIENT] = pairs[i].fds[SERVER] = -1;
  own = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  listen_again();
  printf("%d\n", ntohs(own.sin_port));

  for (;;) {
    int64_t wake_us = NEVER;
    polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < MAX_PAIRS; i++)
      for (int side = CLIENT; side <= SERVER; side++) {
        struct pollfd *entry = &polled[2 + 2 * i + (size_t)side];
        *entry = (struct pollfd){.fd = -1};
        if (pairs[i].fds[CLIENT] < 0) continue;
        entry->events = events_of(&pairs[i], side, &wake_us);
        /* A side that has ended would wake poll for ever. */
        if (entry->events != 0) entry->fd = pairs[i].fds[side];
      }
    int64_t wait_us = wake_us == NEVER ? 0 : wake_us - now_us();
    if (wait_us < 0) wait_us = 0;
    struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    if (ppoll(polled, 2 + 2 * MAX_PAIRS, wake_us == NEVER ? NULL : &wait, NULL) < 0 && errno != EINTR)
      die("poll");
    if (polled[0].revents != 0 && !read_commands()) break;
    for (size_t i = 0; i < MAX_PAIRS; i++)
      serve_pair(&pairs[i], polled[2 + 2 * i].revents, polled[3 + 2 * i].revents);
    if (listener >= 0 && polled[1].revents != 0) take_connection();
  }
  close_all();
  freeaddrinfo(target);
  return 0;
}
