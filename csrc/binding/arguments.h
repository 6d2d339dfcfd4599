/*
 * Reading tables of options and fields. A table is read once, by raw lua_next, and each key looked up in a
 * list of known ones: so no unknown name is ever ignored, and no metamethod runs.
 *
 * Two kinds of mistakes are told apart. A wrong type or an unknown name is the program's: it raises. A value
 * of the right type that breaks a rule is the data's: the first one is kept in `err` while reading goes on,
 * so that what raises does so whatever the order of the keys.
 */
#ifndef CONVSTORE_BINDING_ARGUMENTS_H
#define CONVSTORE_BINDING_ARGUMENTS_H

#include <lua.h>

#include "../convstore.h"

/* One table being read. Start from { .L =, .arg =, .noun = } and zeroes. */
struct arguments {
  lua_State *L;
  int arg;          /* the number of the argument, for errors */
  const char *noun; /* what a key is called there: "option", "field" */
  int item;         /* which table of an array it is, from 1; 0: no array */
  bool
      null_is_absent; /* convstore.null counts as nothing: what a JSON decoder made can be handed on as it is */
  size_t max_json;    /* bytes of one JSON value */
  convstore_error err; /* of the first value that breaks a rule; status 0: none did */
};

/*
 * A known key. `take` finds the value at the top of the stack and leaves one value there: its own string, or
 * the text made of it.
 */
struct field {
  const char *name;
  size_t n_name;
  void (*take)(struct arguments *args, const struct field *field, void *slot);
  size_t offset; /* of the slot in the struct being filled */
};

#define FIELD(name, take, type, member)                                                                      \
  { name, sizeof name - 1, take, offsetof(type, member) }
/* For a key that concerns more than one member. */
#define FIELD_OF(name, take)                                                                                 \
  { name, sizeof name - 1, take, 0 }
#define FIELDS_END                                                                                           \
  { NULL, 0, NULL, 0 }

/*
 * Reads the table at `index` into `target`. Every string that the target borrows is left on the stack, so
 * that neither a hook nor a finalizer that changes the caller's table can take it away: up to one slot for
 * each known field.
 */
void convstore__lua_read(struct arguments *args, int index, const struct field *fields, void *target);

/* The same for an optional argument: absent or nil leaves `target` as it is; what is no table raises. */
void convstore__lua_read_optional(struct arguments *args, const struct field *fields, void *target);

/* Where to report a value that breaks a rule: NULL once another has been reported. */
convstore_error *convstore__lua_report(struct arguments *args);

/* Raises: `field`'s value, at the top, is not `expected`. */
void convstore__lua_type_error(struct arguments *args, const struct field *field, const char *expected);

/*
 * Takers for the common types. Their slots: convstore_text, int64_t, bool, char[CONVSTORE_ID_SIZE],
 * convstore_mark; and for JSON a convstore_text, absent where the value is convstore.null.
 */
void convstore__lua_take_text(struct arguments *args, const struct field *field, void *slot);
void convstore__lua_take_integer(struct arguments *args, const struct field *field, void *slot);
void convstore__lua_take_boolean(struct arguments *args, const struct field *field, void *slot);
void convstore__lua_take_id(struct arguments *args, const struct field *field, void *slot);
void convstore__lua_take_mark(struct arguments *args, const struct field *field, void *slot);
void convstore__lua_take_json(struct arguments *args, const struct field *field, void *slot);
/* A role or an array of them; slot: unsigned, to which their bits are added. */
void convstore__lua_take_roles(struct arguments *args, const struct field *field, void *slot);

/* The string at `index`, as it lies there. */
convstore_text convstore__lua_text(lua_State *L, int index);

/* True for convstore.null. */
bool convstore__lua_is_null(lua_State *L, int index);

/* Pushes and returns what the value at `index` is called in an error: a string, number or boolean as it is, anything
 * else by its type, since a __tostring is the program's own code. */
const char *convstore__lua_show(lua_State *L, int index);

/* True where `text` is exactly `literal`. */
bool convstore__lua_same(convstore_text text, const char *literal);

/*
 * The integer at `index`: an integer, or a float of integer value below 2^53. False: anything else, numeric
 * strings included.
 */
bool convstore__lua_integer(lua_State *L, int index, int64_t *out);

/*
 * An integer argument; raises for anything else. It and take_integer turn the one value that means "absent"
 * in C into its neighbour, which is out of every range as well.
 */
int64_t convstore__lua_check_integer(lua_State *L, int arg);

/* A string argument; raises for numbers too. */
convstore_text convstore__lua_check_text(lua_State *L, int arg);

#endif
