#include <limits>
#include <string>
#include <utility>

#include <parquet/file_reader.h>
#include <parquet/page_index.h>

#include "ParquetFooter.h"
#include "ParquetRead.h"

namespace {

using carrow::ChunkIndex;
using carrow::Guard;
using carrow::PageStarts;
using carrow::ReaderState;

// nullptr where there is none.
parquet::RowGroupPageIndexReader* IndexOf(ReaderState* state, int32_t rowGroup) {
  if (state->indexedRowGroup != rowGroup) {
    auto index = state->reader->parquet_reader()->GetPageIndexReader();
    state->rowGroupIndex = index == nullptr ? nullptr : index->RowGroup(rowGroup);
    state->indexedRowGroup = rowGroup;
  }
  return state->rowGroupIndex.get();
}

arrow::Status LoadIndex(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf) {
  reader->index = ChunkIndex{};
  ReaderState& state = *reader->state;
  CArrowColumnChunk chunk;
  carrow::Bounds bounds;
  // Bounds of pages are believed where those of the whole chunk are, and in the same unit.
  ARROW_RETURN_NOT_OK(
      carrow::DescribeColumnChunk(*state.metadata, rowGroup, leaf, &bounds, &chunk));
  if (state.metadata->schema()->Column(leaf)->max_repetition_level() > 0) return arrow::Status::OK();
  PageStarts starts = carrow::PagePlacesOf(&state, rowGroup, leaf).starts;
  if (starts.empty()) return arrow::Status::OK();
  auto* index = IndexOf(&state, rowGroup);
  auto pages = index->GetColumnIndex(leaf);
  if (pages != nullptr) {
    const size_t count = starts.size();
    if (pages->null_pages().size() != count || pages->encoded_min_values().size() != count ||
        pages->encoded_max_values().size() != count ||
        (pages->has_null_counts() && pages->null_counts().size() != count)) {
      return arrow::Status::OK();
    }
  }
  reader->index = ChunkIndex{std::move(starts), index->GetOffsetIndex(leaf), std::move(pages),
                             chunk.hasBounds};
  return arrow::Status::OK();
}

arrow::Status Describe(const ChunkIndex& index, int32_t page, CArrowPage* out) {
  if (page < 0 || static_cast<size_t>(page) >= index.starts.size()) {
    return arrow::Status::IndexError("no page ", page);
  }
  const auto place = static_cast<size_t>(page);
  *out = CArrowPage{};
  out->firstRow = index.starts[place];
  out->byteOffset = index.offsets->page_locations()[place].offset;
  out->nullCount = -1;
  if (index.pages == nullptr) return arrow::Status::OK();
  out->hasOnlyNulls = index.pages->null_pages()[place];
  if (index.pages->has_null_counts()) out->nullCount = index.pages->null_counts()[place];
  out->hasBounds = index.hasBounds && !out->hasOnlyNulls;
  const std::string& minimum = index.pages->encoded_min_values()[place];
  const std::string& maximum = index.pages->encoded_max_values()[place];
  out->minimum = minimum.data();
  out->minimumLength = static_cast<int64_t>(minimum.size());
  out->maximum = maximum.data();
  out->maximumLength = static_cast<int64_t>(maximum.size());
  return arrow::Status::OK();
}

}  // namespace

carrow::PagePlaces carrow::PagePlacesOf(ReaderState* state, int32_t rowGroup, int32_t leaf) {
  PagePlaces places;
  auto* index = IndexOf(state, rowGroup);
  if (index == nullptr) return places;
  auto offsets = index->GetOffsetIndex(leaf);
  if (offsets == nullptr) return places;
  const int64_t rowCount = state->metadata->RowGroup(rowGroup)->num_rows();
  bool areAdjacent = true;
  for (const auto& page : offsets->page_locations()) {
    const int64_t first = page.first_row_index;
    const bool isNext = places.starts.empty() ? first == 0 : first > places.starts.back();
    if (!isNext || first >= rowCount) return {};
    places.starts.push_back(first);
    if (places.offsets.empty()) places.offsets.push_back(page.offset);
    areAdjacent = areAdjacent && page.offset >= 0 && page.offset == places.offsets.back() &&
                  page.compressed_page_size > 0 &&
                  page.offset <= std::numeric_limits<int64_t>::max() - page.compressed_page_size;
    places.offsets.push_back(areAdjacent ? page.offset + page.compressed_page_size : 0);
  }
  if (!areAdjacent) places.offsets.clear();
  return places;
}

bool CArrowParquetReaderPageCount(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                  int32_t* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *out = 0;
    ARROW_RETURN_NOT_OK(LoadIndex(reader, rowGroup, leaf));
    *out = static_cast<int32_t>(reader->index.starts.size());
    return arrow::Status::OK();
  });
}

bool CArrowParquetReaderPage(CArrowParquetReader* reader, int32_t index, CArrowPage* out,
                             CArrowStatus* status) {
  return Guard(status, [&] { return Describe(reader->index, index, out); });
}
