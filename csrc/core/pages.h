/* How a page of a list ends. Backends read one row more than the limit; here that one goes and leaves a cursor. */
#ifndef CONVSTORE_CORE_PAGES_H
#define CONVSTORE_CORE_PAGES_H

#include "backend.h"

/* Of LIST, of MESSAGES and of USERS, when the result has its rows. E_MEMORY; USERS: E_CORRUPT. */
int convstore__page_listed(struct convstore_call *call);
int convstore__page_messages(struct convstore_call *call);
int convstore__page_users(struct convstore_call *call);

/* The beginning of a message's text, for a list: at most CONVSTORE_PREVIEW bytes. */
void convstore__cut_preview(convstore_text *text);

#endif
