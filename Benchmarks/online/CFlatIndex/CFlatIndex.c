#include "CFlatIndex.h"

#include <stdlib.h>
#include <string.h>

enum { key_bytes = 16, row_bytes = 200, record_bytes = key_bytes + row_bytes, batch_limit = 1024 };

struct slot { uint64_t tag; uint64_t place; };  // place counts from 1; 0 is an empty slot

struct flat_index {
  struct slot *slots;
  size_t mask;
  unsigned char *records;
  size_t count, capacity;
};

static uint64_t hash(const void *key) {
  uint64_t words[2];
  memcpy(words, key, sizeof words);
  unsigned __int128 product =
      (unsigned __int128)(words[0] ^ 0xA0761D6478BD642Full) * (words[1] ^ 0xE7037ED1A0B428DBull);
  return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

struct flat_index *flat_index_create(size_t capacity) {
  struct flat_index *index = calloc(1, sizeof *index);
  if (!index) return NULL;
  size_t slots = 64;
  while (slots * 3 < capacity * 4) slots *= 2;
  index->slots = calloc(slots, sizeof *index->slots);
  index->records = malloc(capacity * record_bytes);
  index->mask = slots - 1;
  index->capacity = capacity;
  if (!index->slots || !index->records) {
    flat_index_destroy(index);
    return NULL;
  }
  return index;
}

void flat_index_destroy(struct flat_index *index) {
  free(index->slots);
  free(index->records);
  free(index);
}

static unsigned char *record_at(const struct flat_index *index, uint64_t place) {
  return index->records + (place - 1) * record_bytes;
}

void flat_index_put(struct flat_index *index, const void *key, const void *row) {
  uint64_t tag = hash(key);
  size_t slot = tag & index->mask;
  for (; index->slots[slot].place; slot = (slot + 1) & index->mask) {
    unsigned char *record = record_at(index, index->slots[slot].place);
    if (index->slots[slot].tag == tag && !memcmp(record, key, key_bytes)) {
      memcpy(record + key_bytes, row, row_bytes);
      return;
    }
  }
  if (index->count == index->capacity) abort();
  index->slots[slot] = (struct slot){tag, ++index->count};
  unsigned char *record = record_at(index, index->count);
  memcpy(record, key, key_bytes);
  memcpy(record + key_bytes, row, row_bytes);
}

static size_t find(const struct flat_index *index, uint64_t tag, const void *key, void *row) {
  for (size_t slot = tag & index->mask; index->slots[slot].place; slot = (slot + 1) & index->mask) {
    if (index->slots[slot].tag != tag) continue;
    const unsigned char *record = record_at(index, index->slots[slot].place);
    if (memcmp(record, key, key_bytes)) continue;
    memcpy(row, record + key_bytes, row_bytes);
    return row_bytes;
  }
  return 0;
}

size_t flat_index_get(const struct flat_index *index, const void *key, void *row) {
  return find(index, hash(key), key, row);
}

size_t flat_index_get_batch(const struct flat_index *index, const void *keys, size_t count,
                            void *rows, size_t stride) {
  uint64_t tags[batch_limit];
  if (count > batch_limit) abort();
  const unsigned char *key = keys;
  for (size_t i = 0; i < count; i++) {
    tags[i] = hash(key + i * key_bytes);
    __builtin_prefetch(&index->slots[tags[i] & index->mask]);
  }
  for (size_t i = 0; i < count; i++) {
    uint64_t place = index->slots[tags[i] & index->mask].place;
    if (!place) continue;
    const unsigned char *record = record_at(index, place);
    for (size_t line = 0; line < record_bytes; line += 64) __builtin_prefetch(record + line);
  }
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += find(index, tags[i], key + i * key_bytes, (unsigned char *)rows + i * stride);
  return total;
}
