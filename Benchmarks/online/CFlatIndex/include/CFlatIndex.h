// The limit of a point store in memory: a flat table of hashes and places, and one heap of records that
// are 16 bytes of key and 200 of row. No lock, no checksum, no durability, no growth.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct flat_index;

// Room for `capacity` records; NULL when there is no memory.
struct flat_index *flat_index_create(size_t capacity);
void flat_index_destroy(struct flat_index *index);
void flat_index_put(struct flat_index *index, const void *key, const void *row);
// Copies the row; returns its length, 0 for none.
size_t flat_index_get(const struct flat_index *index, const void *key, void *row);
// The same for `count` keys one behind the other, rows `stride` bytes apart: all hashes first, then all
// slots and records are asked for before the first is touched. Returns the bytes copied.
size_t flat_index_get_batch(const struct flat_index *index, const void *keys, size_t count,
                            void *rows, size_t stride);
