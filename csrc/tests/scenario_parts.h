/*
 * What the files of scenarios share: how a request is made and run, and which scenarios there are. For scenario*.c
 * alone.
 */
#ifndef CONVSTORE_TESTS_SCENARIO_PARTS_H
#define CONVSTORE_TESTS_SCENARIO_PARTS_H

#include "../convstore.h"

/* Alice's conversations: most scenarios are about these. */
#define LIVE_ID "0190f5a8-0000-7000-8000-000000000001"
#define DELETED_ID "0190f5a8-0000-7000-8000-000000000002"
#define ARCHIVED_ID "0190f5a8-0000-7000-8000-000000000003"
#define PARTED_ID "0190f5a8-0000-7000-8000-00000000000a" /* half of it is archived */
#define NEW_ID "0190f5a8-0000-7000-8000-000000000004"
#define CHAT_ID "0190f5a8-0000-7000-8000-000000000005" /* of tool exchanges and summaries, for contexts */
/* Of bob, who has enough that is not indexed for a segment. */
#define LONG_ID "0190f5a8-0000-7000-8000-000000000006"
/* Of carol, who has as much in a segment, and a second conversation in it, and some that came later. */
#define INDEXED_ID "0190f5a8-0000-7000-8000-000000000007"
#define NEIGHBOUR_ID "0190f5a8-0000-7000-8000-000000000008"

typedef int scenario_run(uint64_t *hash, convstore *store, convstore_error *err);

convstore_text scenario_text(const char *string);
convstore_request scenario_request(convstore_operation operation, const char *user_id,
                                   const char *conversation_id);
/* Runs a request to its end. */
int scenario_finish(uint64_t *hash, convstore *store, convstore_request *request, convstore_error *err);
/* A new conversation with the key. Failed checks where it fails, as the next three. */
void scenario_create(convstore *store, const char *user_id, const char *id, const char *key);

/* scenario_reads.c */
scenario_run scenario_fork, scenario_fork_again, scenario_fork_archived, scenario_summarize;
scenario_run scenario_context, scenario_context_of_tokens, scenario_context_without_system,
    scenario_context_archived, scenario_context_openai_json, scenario_context_anthropic,
    scenario_context_anthropic_live;
scenario_run scenario_list, scenario_list_behind, scenario_list_created, scenario_list_deleted,
    scenario_list_created_deleted;
scenario_run scenario_messages, scenario_messages_behind;
scenario_run scenario_usage_by_role, scenario_usage_by_day, scenario_usage_by_conversation;
/* The conversation that contexts are made of. */
void scenario_make_chat(convstore *store);

/* scenario_search.c */
scenario_run scenario_search_unindexed, scenario_search_that_indexes, scenario_search_indexed,
    scenario_search_behind, scenario_search_conversation;
scenario_run scenario_redact_indexed, scenario_append_to_indexed, scenario_delete_indexed,
    scenario_purge_indexed, scenario_purge_first_indexed;
/* What is searched of bob and of carol. */
void scenario_make_long(convstore *store);
void scenario_make_indexed(convstore *store);

#endif
