/* The list that a check makes: it grows while a backend finds things, and is then put in order and cut. */
#ifndef CONVSTORE_CORE_PROBLEMS_H
#define CONVSTORE_CORE_PROBLEMS_H

#include "backend.h"

/* What a backend's query gives at most: from one more than the list takes it is known that there are more. */
#define CONVSTORE_PROBLEM_ROWS (CONVSTORE_MAX_PROBLEMS + 1)

/* Adds one to the call's result, whose arena must own its texts. `capacity` is the list's own, from 0. E_MEMORY. */
int convstore__problem_add(size_t *capacity, struct convstore_call *call, const convstore_problem *problem);

/* Sorts by problem, conversation and words; of more than CONVSTORE_MAX_PROBLEMS the last ones become one, "more". */
void convstore__problems_finish(struct convstore_call *call);

#endif
