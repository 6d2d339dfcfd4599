/*
 * Looks into the blobs of the search index, segment by segment, a page of them in a round, so that the memory is that
 * of a few segments however many there are. Each page is a statement of its own and sees another moment; a segment is
 * never changed, so it is whole in either.
 */
#include <string.h>

#include "../core/render.h"
#include "../core/segment_check.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

#define SEGMENTS_OF_PAGE 8
#define STRING(number) #number
#define LIMIT(n) " LIMIT " STRING(n)
#define PAGE_END " ORDER BY q.user_id, q.id" LIMIT(SEGMENTS_OF_PAGE)

/* Segment after segment: first its own row (bucket -2), then its runs (-1), then its postings. */
#define SEGMENT_ROW                                                                                          \
  "SELECT CAST(-2 AS bigint) AS bucket, CAST(NULL AS uuid) AS run_id, s.n_messages AS a,"                    \
  " CAST(NULL AS bigint) AS b, s.messages AS bytes"
#define RUN_ROWS                                                                                             \
  "SELECT -1, r.conversation_id, r.first_seq, r.last_seq, NULL FROM {{schema}}.search_runs AS r"             \
  " WHERE r.user_id = s.user_id AND r.segment_id = s.id"
#define POSTINGS_ROWS                                                                                        \
  "SELECT o.bucket, NULL, NULL, NULL, o.postings FROM {{schema}}.search_postings AS o"                       \
  " WHERE o.user_id = s.user_id AND o.segment_id = s.id"
#define PAGE(where)                                                                                          \
  "SELECT CAST(s.user_id AS text), s.conversation_id, s.id, p.bucket, p.run_id, p.a, p.b, p.bytes"           \
  " FROM (SELECT q.user_id, q.conversation_id, q.id, q.n_messages, q.messages"                               \
  " FROM {{schema}}.search_segments AS q" where PAGE_END ") AS s CROSS JOIN LATERAL (" SEGMENT_ROW           \
  " UNION ALL " RUN_ROWS " UNION ALL " POSTINGS_ROWS ") AS p ORDER BY s.user_id, s.id, p.bucket"

static const char first_page[] = PAGE("");
static const char next_page[] =
    PAGE(" WHERE (q.user_id, q.id) > (CAST(CAST($1 AS text) AS {{user_id_type}}), CAST($2 AS bigint))");

enum column {
  COLUMN_USER,
  COLUMN_CONVERSATION,
  COLUMN_SEGMENT,
  COLUMN_BUCKET,
  COLUMN_RUN,
  COLUMN_A,
  COLUMN_B,
  COLUMN_BYTES,
  COLUMNS
};

struct postgres_index_check {
  const char *first_page, *next_page; /* their SQL */
  bool has_segment;                   /* one is under way, and what follows names it */
  convstore_text user_id;
  char conversation_id[CONVSTORE_ID_SIZE];
  int64_t segment_id;
  char user_id_bytes[CONVSTORE_MAX_USER_ID];
  int n_of_page;
  size_t n_found;
  struct convstore_segment_check segment;
};

static int begin(struct postgres_connection *connection, struct convstore_call *call) {
  struct convstore_arena *arena = convstore__arena(call->result);
  convstore_result_free(&connection->scratch);
  connection->index_check = NULL;
  if (arena != NULL) connection->index_check = convstore__arena_alloc(arena, sizeof *connection->index_check);
  if (connection->index_check == NULL || convstore__arena(&connection->scratch) == NULL)
    return convstore__postgres_no_memory(call->err);
  memset(connection->index_check, 0, sizeof *connection->index_check);
  const struct convstore_substitution list[] = {
      {"schema", convstore__postgres_quote_name(arena, connection->schema)},
      {"user_id_type", convstore__postgres_user_id_type_name(connection->base.user_id_type)},
      {NULL, NULL}};
  struct postgres_index_check *check = connection->index_check;
  if (list[0].value != NULL) {
    check->first_page = convstore__render(arena, first_page, list);
    check->next_page = convstore__render(arena, next_page, list);
  }
  bool good = check->first_page != NULL && check->next_page != NULL;
  return good ? CONVSTORE_OK : convstore__postgres_no_memory(call->err);
}

int convstore__postgres_queue_index_check(struct postgres_connection *connection,
                                          struct convstore_call *call) {
  struct postgres_params params = {0};
  bool first = connection->step == 0;
  int status = first ? begin(connection, call) : CONVSTORE_OK;
  const struct postgres_index_check *check = connection->index_check;
  if (status != CONVSTORE_OK || check == NULL) return status;
  if (!first) {
    convstore__postgres_add_text(&params, check->user_id);
    convstore__postgres_add_integer(&params, check->segment_id);
  }
  /* A young table without ANALYZE would be read whole for each segment. */
  convstore__postgres_queue_frame(connection, POSTGRES_STMT_BY_INDEX, NULL);
  convstore__postgres_queue_text(connection, first ? check->first_page : check->next_page, &params);
  return CONVSTORE_OK;
}

static int end_segment(size_t *capacity, struct postgres_index_check *check, struct convstore_call *call) {
  if (!check->has_segment) return CONVSTORE_OK;
  check->has_segment = false;
  if (convstore__segment_check_end(&check->segment)) return CONVSTORE_OK;
  check->n_found++;
  return convstore__segment_check_tell(&check->segment, check->user_id, check->conversation_id,
                                       check->segment_id, capacity, call);
}

static int begin_segment(struct postgres_connection *connection, const PGresult *rows, int row,
                         struct convstore_call *call) {
  struct postgres_index_check *check = connection->index_check;
  convstore_text user_id = convstore__postgres_peek_text(rows, row, COLUMN_USER);
  check->has_segment = true;
  check->n_of_page++;
  if (user_id.size > sizeof check->user_id_bytes) user_id.size = sizeof check->user_id_bytes;
  if (user_id.size > 0) memcpy(check->user_id_bytes, user_id.data, user_id.size);
  check->user_id = (convstore_text){check->user_id_bytes, user_id.size};
  convstore__postgres_read_id(check->conversation_id, rows, row, COLUMN_CONVERSATION);
  check->segment_id = convstore__postgres_read_integer(rows, row, COLUMN_SEGMENT);
  return convstore__segment_check_start(
      &check->segment, convstore__postgres_read_integer(rows, row, COLUMN_A),
      convstore__postgres_peek_text(rows, row, COLUMN_BYTES), connection->scratch.memory, call->err);
}

static int read_row(size_t *capacity, struct postgres_connection *connection, const PGresult *rows, int row,
                    struct convstore_call *call) {
  struct postgres_index_check *check = connection->index_check;
  int64_t bucket = convstore__postgres_read_integer(rows, row, COLUMN_BUCKET);
  if (bucket == -2) {
    int status = end_segment(capacity, check, call);
    return status != CONVSTORE_OK ? status : begin_segment(connection, rows, row, call);
  }
  if (bucket == -1) {
    char id[CONVSTORE_ID_SIZE];
    convstore__postgres_read_id(id, rows, row, COLUMN_RUN);
    convstore__segment_check_run(&check->segment, id, convstore__postgres_read_integer(rows, row, COLUMN_A),
                                 convstore__postgres_read_integer(rows, row, COLUMN_B));
    return CONVSTORE_OK;
  }
  convstore__segment_check_postings(&check->segment, bucket,
                                    convstore__postgres_peek_text(rows, row, COLUMN_BYTES));
  return CONVSTORE_OK;
}

int convstore__postgres_receive_index_check(size_t *capacity, struct postgres_connection *connection,
                                            struct convstore_call *call) {
  static const enum postgres_type types[COLUMNS] = {POSTGRES_TEXT, POSTGRES_UUID, POSTGRES_INT8,
                                                    POSTGRES_INT8, POSTGRES_UUID, POSTGRES_INT8,
                                                    POSTGRES_INT8, POSTGRES_BYTEA};
  struct postgres_index_check *check = connection->index_check;
  const PGresult *rows = NULL; /* of the last statement */
  for (size_t k = 0; convstore__postgres_result(connection, k) != NULL; k++)
    rows = convstore__postgres_result(connection, k);
  int status = convstore__postgres_check_columns(rows, types, COLUMNS, call->err);
  int n = PQntuples(rows);
  check->n_of_page = 0;
  for (int row = 0; status == CONVSTORE_OK && row < n; row++)
    status = read_row(capacity, connection, rows, row, call);
  if (status == CONVSTORE_OK) status = end_segment(capacity, check, call);
  if (status == CONVSTORE_OK && check->n_of_page == SEGMENTS_OF_PAGE &&
      check->n_found < CONVSTORE_PROBLEM_ROWS)
    return POSTGRES_AGAIN;
  convstore_result_free(&connection->scratch);
  return status;
}
