/*
 * What each operation needs before it may run, in one table: the core asks it instead of knowing operations by their
 * place in the enum, and so do backends that look at the schema before a read.
 */
#ifndef CONVSTORE_CORE_OPERATIONS_H
#define CONVSTORE_CORE_OPERATIONS_H

#include "../convstore.h"

struct convstore_needs {
  bool schema;       /* our tables, in the newest version */
  bool user;         /* a valid user_id */
  bool conversation; /* a valid conversation_id */
  bool reads;        /* it is about data and writes none, or looks before it does */
};

/* OPEN is 0 and needs nothing. */
extern const struct convstore_needs convstore__needs[CONVSTORE_OPERATIONS];

#endif
