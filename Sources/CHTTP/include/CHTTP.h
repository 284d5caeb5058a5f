// One HTTP request over libcurl: what Swift cannot call itself, because curl_easy_setopt is variadic.
//
// Ownership: the caller owns everything passed in; `chttp_response_free` frees what a response holds.
// Thread-safe; each call has a connection of its own.
#ifndef CHTTP_H
#define CHTTP_H

#include <stdbool.h>
#include <stddef.h>

// What became of a request.
typedef enum chttp_outcome {
  chttp_answered = 0,
  // Nothing was sent: the name or the server was not found, or no connection came about.
  chttp_not_sent = 1,
  // The connection failed, or time ran out, after the server may have got the request.
  chttp_unknown = 2,
} chttp_outcome;

typedef struct chttp_request {
  const char *method;
  const char *url;
  const char *const *headers;  // "Name: value"
  int header_count;
  const void *body;
  size_t body_length;
  long connect_timeout_ms;
  long timeout_ms;
  size_t maximum_response_bytes;
} chttp_request;

typedef struct chttp_response {
  long status;
  char *body;
  size_t body_length;
  size_t maximum_bytes;
  char error[256];
} chttp_response;

chttp_outcome chttp_perform(const chttp_request *request, chttp_response *response);
void chttp_response_free(chttp_response *response);

#endif
