/*
 * Arrow and Parquet behind plain C: the only way to the C++ libraries.
 *
 * Fault model: nothing here lets a C++ exception out, and everything that comes from a file is
 * validated before it is handed over. What is not here: opening files, threads, the choice of options.
 *
 * Ownership:
 *  1. Every function that can fail takes a caller-allocated CArrowStatus last and returns false on
 *     failure; the status is written only then.
 *  2. An ArrowSchema, ArrowArray or CArrowSource/CArrowSink passed in is always consumed, also on
 *     failure: the function takes over its `release` and leaves NULL there (Arrow's structs) or has
 *     called it by the time the object made from it is freed (sources and sinks).
 *  3. A struct or stream passed out belongs to the caller, who calls its `release` once. Its memory
 *     stays valid after the reader it came from has been freed.
 *  4. A handle (CArrowParquetReader, ...) is freed with its ...Free function, which takes NULL too.
 *  5. Callbacks are called only on the thread that called into this library. When one fails, the
 *     function fails too; why, the callback's owner has to remember.
 *  6. Pointers inside an out-struct (bounds, names) live until the next call on the same handle.
 *
 * A handle is used by one thread at a time; different handles are independent.
 */
#ifndef CARROW_H
#define CARROW_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The Arrow C data interface, as the Arrow specification writes it. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};

#endif

typedef enum CArrowCode {
  CArrowCodeInvalid = 1,     /* the bytes or the arguments are wrong */
  CArrowCodeMemory = 2,      /* more memory than the limit */
  CArrowCodeUnsupported = 3, /* correct, but we (or Arrow) do not do that */
  CArrowCodeOther = 4
} CArrowCode;

typedef struct CArrowStatus {
  int32_t code;
  char message[1012];
} CArrowStatus;

/* Random-access input. `readAt` fills `buffer` and returns the bytes read, fewer only at the end of
   the file, or -1 on failure. */
typedef struct CArrowSource {
  void* context;
  int64_t sizeBytes;
  int64_t (*readAt)(void* context, int64_t byteOffset, void* buffer, int64_t length);
  void (*release)(void* context);
} CArrowSource;

/* Sequential output. `write` takes all bytes or returns false. */
typedef struct CArrowSink {
  void* context;
  bool (*write)(void* context, const void* bytes, int64_t length);
  void (*release)(void* context);
} CArrowSink;

/* ---- Parquet: reading ---- */

typedef struct CArrowParquetReader CArrowParquetReader;

typedef struct CArrowParquetReadOptions {
  int64_t memoryLimitBytes; /* of everything that this reader and its batches hold at once */
  bool verifyPageChecksums;
} CArrowParquetReadOptions;

typedef struct CArrowParquetFile {
  int64_t rowCount;
  int32_t rowGroupCount;
  int32_t leafCount;
  int64_t footerBytes;
} CArrowParquetFile;

typedef struct CArrowRowGroup {
  int64_t rowCount;
  int64_t startByteOffset; /* of the first page of the first column */
  int64_t uncompressedBytes;
  int64_t compressedBytes;
} CArrowRowGroup;

typedef enum CArrowPhysicalType {
  CArrowPhysicalBoolean = 0,
  CArrowPhysicalInt32 = 1,
  CArrowPhysicalInt64 = 2,
  CArrowPhysicalInt96 = 3,
  CArrowPhysicalFloat = 4,
  CArrowPhysicalDouble = 5,
  CArrowPhysicalByteArray = 6,
  CArrowPhysicalFixedLengthByteArray = 7
} CArrowPhysicalType;

typedef struct CArrowColumnChunk {
  int32_t physicalType;
  int32_t fieldID; /* -1 when there is none */
  int64_t compressedBytes;
  int64_t uncompressedBytes;
  int64_t valueCount; /* nulls included */
  int64_t nullCount;  /* -1 when unknown */
  bool hasBounds;
  bool isMinimumExact;
  bool isMaximumExact;
  bool hasBloomFilter;
  bool hasPageIndex;
  const void* minimum; /* plain encoding, byte arrays without length */
  int64_t minimumLength;
  const void* maximum;
  int64_t maximumLength;
} CArrowColumnChunk;

bool CArrowParquetReaderOpen(CArrowSource source, const CArrowParquetReadOptions* options,
                             CArrowParquetReader** out, CArrowStatus* status);
void CArrowParquetReaderFree(CArrowParquetReader* reader);

/* The schema of the batches: types that Columnar lacks already stand converted. */
bool CArrowParquetReaderSchema(CArrowParquetReader* reader, struct ArrowSchema* out,
                               CArrowStatus* status);
bool CArrowParquetReaderFile(CArrowParquetReader* reader, CArrowParquetFile* out,
                             CArrowStatus* status);
bool CArrowParquetReaderRowGroup(CArrowParquetReader* reader, int32_t rowGroup,
                                 CArrowRowGroup* out, CArrowStatus* status);
bool CArrowParquetReaderColumnChunk(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                    CArrowColumnChunk* out, CArrowStatus* status);
/* Whether the bloom filter of a column chunk may have been given a value, in plain encoding without
   length; true where there is no filter, or none for values of its type. */
bool CArrowParquetReaderMayContain(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                   const void* value, int64_t length, bool* out,
                                   CArrowStatus* status);
/* The key-value metadata's value for `key`; `*out` is NULL when there is none. */
bool CArrowParquetReaderMetadata(CArrowParquetReader* reader, const char* key, const char** out,
                                 int64_t* outLength, CArrowStatus* status);

/* The bytes that the footer was parsed from; valid until the next call and while the reader is there. */
bool CArrowParquetReaderFooter(CArrowParquetReader* reader, const void** out, int64_t* outOffset,
                               int64_t* outLength, CArrowStatus* status);
/* The rows of these row groups, these top-level fields in this order, as validated batches. */
bool CArrowParquetReaderScan(CArrowParquetReader* reader, const int32_t* fields,
                             int32_t fieldCount, const int32_t* rowGroups, int32_t rowGroupCount,
                             int64_t batchRows, struct ArrowArrayStream* out,
                             CArrowStatus* status);

/* A data page of a column chunk, as the page index describes it. */
typedef struct CArrowPage {
  int64_t firstRow; /* within the row group */
  int64_t byteOffset; /* of the page's header in the file, as the index says */
  int64_t nullCount; /* -1 when unknown */
  bool hasOnlyNulls;
  bool hasBounds;
  const void* minimum; /* as in CArrowColumnChunk, never exact */
  int64_t minimumLength;
  const void* maximum;
  int64_t maximumLength;
} CArrowPage;

/* How many pages a column chunk has; 0 where no page index tells, or one that cannot be right. */
bool CArrowParquetReaderPageCount(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                  int32_t* out, CArrowStatus* status);
/* A page of the column chunk last asked for the count of its pages. */
bool CArrowParquetReaderPage(CArrowParquetReader* reader, int32_t index, CArrowPage* out,
                             CArrowStatus* status);

/* Some rows of a row group, which has as many. */
typedef struct CArrowRowRange {
  int32_t rowGroup;
  int64_t firstRow;
  int64_t rowCount;
} CArrowRowRange;

/* The rows of these ranges, which ascend; pages without any of them are neither decompressed nor decoded, where there
   is a page index. `*isPossible` is false, and nothing has happened, where a field is nested or has to be converted. */
bool CArrowParquetReaderScanRows(CArrowParquetReader* reader, const int32_t* fields,
                                 int32_t fieldCount, const CArrowRowRange* ranges,
                                 int32_t rangeCount, int64_t batchRows, bool* isPossible,
                                 struct ArrowArrayStream* out, CArrowStatus* status);

/* ---- Parquet: the rows of many small files ---- */

typedef struct CArrowParquetCoalescer CArrowParquetCoalescer;

/* For columns of the schema's field ids and types; those from `firstDeferred` on are decoded when they are taken. */
bool CArrowParquetCoalescerMake(struct ArrowSchema* schema, int32_t firstDeferred,
                                const CArrowParquetReadOptions* options,
                                CArrowParquetCoalescer** out, CArrowStatus* status);
void CArrowParquetCoalescerFree(CArrowParquetCoalescer* coalescer);
/* What a column may be called in files that have no field ids. */
bool CArrowParquetCoalescerName(CArrowParquetCoalescer* coalescer, int32_t column,
                                const char* name, CArrowStatus* status);
/* Adds all rows of a file whose bytes these are; a copy of them is kept if there are deferred columns. `*isAdded`
   is false, and nothing has happened, when the file does not have that many rows, has another `value` for `key` in
   its metadata, or does not have the columns flat and in these very types; those that it lacks are null unless they
   are needed, which is said of each column. A failure is of the file, and final. */
bool CArrowParquetCoalescerAdd(CArrowParquetCoalescer* coalescer, const void* bytes,
                               int64_t length, int64_t rowCount, const char* key,
                               const char* value, const bool* isNeeded, bool* isAdded,
                               CArrowStatus* status);
/* Whether the files added last have all deferred columns. */
bool CArrowParquetCoalescerDefers(CArrowParquetCoalescer* coalescer);
/* Memory of what was added and not yet released. */
int64_t CArrowParquetCoalescerHeldBytes(CArrowParquetCoalescer* coalescer);
/* All rows added since the last call, validated, in their order; then, until the next file is added, their deferred
   columns, once. */
bool CArrowParquetCoalescerTake(CArrowParquetCoalescer* coalescer, bool isDeferred,
                                struct ArrowArray* out, CArrowStatus* status);

/* ---- Parquet: writing ---- */

typedef struct CArrowParquetWriter CArrowParquetWriter;

typedef enum CArrowEncoding {
  CArrowEncodingPlain = 0,
  CArrowEncodingDictionary = 1,
  CArrowEncodingDeltaBinaryPacked = 2,
  CArrowEncodingByteStreamSplit = 3
} CArrowEncoding;

typedef enum CArrowCompression {
  CArrowCompressionNone = 0,
  CArrowCompressionZstandard = 1,
  CArrowCompressionSnappy = 2
} CArrowCompression;

/* One a leaf column, in depth-first order. */
typedef struct CArrowLeafOptions {
  int32_t encoding;
  bool isCompressed; /* where the file is */
  bool hasBloomFilter;
  bool hasStatistics;
  int64_t distinctCount; /* expected; 0 for the rows of a row group */
  double falsePositiveProbability;
} CArrowLeafOptions;

typedef struct CArrowParquetWriteOptions {
  int32_t compression;
  int32_t compressionLevel;
  int64_t rowGroupRows;
  int64_t pageBytes;
  int64_t pageRows;
  int64_t dictionaryBytes;
  bool hasPageIndex;
  bool hasPageChecksums;
  // Whether the columns of a batch are encoded by Arrow's threads, as many as there are processors.
  bool usesThreads;
  const CArrowLeafOptions* leaves;
  int32_t leafCount;
  const char* createdBy;
  const char* const* metadataKeys;
  const char* const* metadataValues;
  int32_t metadataCount;
} CArrowParquetWriteOptions;

/* How many bytes a page of these would have. */
bool CArrowCompressedBytes(int32_t compression, int32_t compressionLevel, const void* bytes,
                           int64_t count, int64_t* out, CArrowStatus* status);

bool CArrowParquetWriterOpen(CArrowSink sink, struct ArrowSchema* schema,
                             const CArrowParquetWriteOptions* options, CArrowParquetWriter** out,
                             CArrowStatus* status);
/* A batch of the writer's schema, a struct array without nulls of its own. */
bool CArrowParquetWriterWrite(CArrowParquetWriter* writer, struct ArrowArray* batch,
                              CArrowStatus* status);
/* Ends the row group, so that the next batch begins another. */
bool CArrowParquetWriterEndRowGroup(CArrowParquetWriter* writer, CArrowStatus* status);
/* Copies all row groups of a file, their pages as they are, checksums compared. `*isCopied` is false, and nothing
   has happened, when that file has other columns, another compression or fewer indexes than this one is to have,
   or rows were written before and none copied. Rows may be written after it. */
bool CArrowParquetWriterCopy(CArrowParquetWriter* writer, CArrowParquetReader* reader,
                             bool* isCopied, CArrowStatus* status);
/* Bytes of the open row group held in memory (compressed pages and unfinished ones). */
int64_t CArrowParquetWriterBufferedBytes(CArrowParquetWriter* writer);
/* Writes the footer; the file's figures can be asked for afterwards. */
bool CArrowParquetWriterFinish(CArrowParquetWriter* writer, CArrowParquetFile* out,
                               int64_t* fileBytes, CArrowStatus* status);
bool CArrowParquetWriterRowGroup(CArrowParquetWriter* writer, int32_t rowGroup,
                                 CArrowRowGroup* out, CArrowStatus* status);
bool CArrowParquetWriterColumnChunk(CArrowParquetWriter* writer, int32_t rowGroup, int32_t leaf,
                                    CArrowColumnChunk* out, CArrowStatus* status);
/* Without CArrowParquetWriterFinish before it, abandons the file: nothing more is written. */
void CArrowParquetWriterFree(CArrowParquetWriter* writer);

/* ---- Arrow IPC files and streams ---- */

typedef struct CArrowIPCWriter CArrowIPCWriter;

bool CArrowIPCWriterOpen(CArrowSink sink, struct ArrowSchema* schema, bool isStream,
                         CArrowIPCWriter** out, CArrowStatus* status);
bool CArrowIPCWriterWrite(CArrowIPCWriter* writer, struct ArrowArray* batch,
                          CArrowStatus* status);
bool CArrowIPCWriterFinish(CArrowIPCWriter* writer, int64_t* fileBytes, CArrowStatus* status);
void CArrowIPCWriterFree(CArrowIPCWriter* writer);

/* All batches of an IPC file (Feather V2), or of an IPC stream when the file's magic is missing. */
bool CArrowIPCOpenStream(CArrowSource source, int64_t memoryLimitBytes,
                         struct ArrowArrayStream* out, CArrowStatus* status);

/* ---- Memory ---- */

/* Gives back to the system what allocators keep for later, Arrow's and C's. */
void CArrowReleaseUnusedMemory(void);

/* ---- Numbers ---- */

/* Parses a whole decimal floating-point text ("1", "-2.5e3", "inf", "nan"), correctly rounded. */
bool CArrowParseDouble(const char* text, int64_t length, double* out);
bool CArrowParseFloat(const char* text, int64_t length, float* out);

#ifdef __cplusplus
}
#endif

#endif
