#include "CHTTP.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

// Appends what arrived; anything beyond the limit ends the transfer.
static size_t receive(char *bytes, size_t size, size_t count, void *context) {
  chttp_response *response = context;
  size_t length = size * count;
  if (length > response->maximum_bytes - response->body_length) return 0;
  char *grown = realloc(response->body, response->body_length + length + 1);
  if (grown == NULL) return 0;
  response->body = grown;
  memcpy(grown + response->body_length, bytes, length);
  response->body_length += length;
  return length;
}

// Codes that come before the request only. An unsupported protocol is not one: so is an answer in HTTP 0.9.
static bool was_not_sent(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_URL_MALFORMAT ||
         code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
}

chttp_outcome chttp_perform(const chttp_request *request, chttp_response *response) {
  pthread_once(&once, start);
  memset(response, 0, sizeof(*response));
  response->maximum_bytes = request->maximum_response_bytes;
  CURL *handle = curl_easy_init();
  if (handle == NULL) {
    strcpy(response->error, "libcurl could not start");
    return chttp_not_sent;
  }
  struct curl_slist *headers = NULL;
  for (int index = 0; index < request->header_count; index++) {
    struct curl_slist *longer = curl_slist_append(headers, request->headers[index]);
    if (longer == NULL) {
      curl_slist_free_all(headers);
      curl_easy_cleanup(handle);
      strcpy(response->error, "out of memory");
      return chttp_not_sent;
    }
    headers = longer;
  }
  char detail[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(handle, CURLOPT_URL, request->url);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, request->timeout_ms);
  curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, response);
  if (strcmp(request->method, "HEAD") == 0) {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else {
    if (request->body != NULL) {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body);
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
  }
  CURLcode code = curl_easy_perform(handle);
  chttp_outcome outcome = chttp_answered;
  if (code == CURLE_OK) {
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &response->status);
  } else {
    const char *text = detail[0] != 0 ? detail : curl_easy_strerror(code);
    strncpy(response->error, text, sizeof(response->error) - 1);
    // A timeout while connecting has the code of any other: no byte sent tells them apart.
    curl_off_t uploaded = 0;
    long sent = 0;
    curl_easy_getinfo(handle, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &sent);
    outcome = was_not_sent(code) || (uploaded == 0 && sent == 0) ? chttp_not_sent : chttp_unknown;
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(handle);
  return outcome;
}

void chttp_response_free(chttp_response *response) {
  free(response->body);
  response->body = NULL;
  response->body_length = 0;
}
