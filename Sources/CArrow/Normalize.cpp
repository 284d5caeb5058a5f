#include "Normalize.h"

#include <arrow/array.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/extension_type.h>
#include <arrow/util/align_util.h>
#include <arrow/util/value_parsing.h>

namespace carrow {

namespace {

arrow::Result<std::shared_ptr<arrow::DataType>> NormalizedType(
    const std::shared_ptr<arrow::DataType>& type, const std::string& path);

arrow::Result<std::shared_ptr<arrow::Field>> NormalizedField(
    const std::shared_ptr<arrow::Field>& field, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto type, NormalizedType(field->type(), path));
  return type == field->type() ? field : field->WithType(type);
}

arrow::Result<std::shared_ptr<arrow::DataType>> NormalizedStruct(
    const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  arrow::FieldVector fields;
  bool changed = false;
  for (const auto& field : type->fields()) {
    ARROW_ASSIGN_OR_RAISE(auto normalized, NormalizedField(field, path + "." + field->name()));
    changed = changed || normalized != field;
    fields.push_back(std::move(normalized));
  }
  return changed ? arrow::struct_(std::move(fields)) : type;
}

arrow::Result<std::shared_ptr<arrow::DataType>> NormalizedList(
    const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto element, NormalizedField(type->field(0), path + ".element"));
  if (type->id() == arrow::Type::LIST && element == type->field(0)) return type;
  return arrow::list(std::move(element));
}

arrow::Result<std::shared_ptr<arrow::DataType>> NormalizedMap(
    const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  const auto& map = static_cast<const arrow::MapType&>(*type);
  ARROW_ASSIGN_OR_RAISE(auto key, NormalizedField(map.key_field(), path + ".key"));
  ARROW_ASSIGN_OR_RAISE(auto item, NormalizedField(map.item_field(), path + ".value"));
  if (key == map.key_field() && item == map.item_field()) return type;
  return std::make_shared<arrow::MapType>(std::move(key), std::move(item), map.keys_sorted());
}

arrow::Result<std::shared_ptr<arrow::DataType>> NormalizedType(
    const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  using arrow::Type;
  switch (type->id()) {
    case Type::BOOL:
    case Type::INT32:
    case Type::INT64:
    case Type::FLOAT:
    case Type::DOUBLE:
    case Type::STRING:
    case Type::BINARY:
    case Type::FIXED_SIZE_BINARY:
    case Type::DATE32:
    case Type::DECIMAL128: return type;
    case Type::INT8:
    case Type::INT16:
    case Type::UINT8:
    case Type::UINT16: return arrow::int32();
    case Type::UINT32:
    case Type::UINT64: return arrow::int64();
    case Type::HALF_FLOAT: return arrow::float32();
    case Type::NA:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW: return arrow::utf8();
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW: return arrow::binary();
    case Type::DATE64: return arrow::date32();
    case Type::TIME32: return arrow::time64(arrow::TimeUnit::MICRO);
    case Type::TIME64: {
      const auto& time = static_cast<const arrow::Time64Type&>(*type);
      return time.unit() == arrow::TimeUnit::MICRO ? type : arrow::time64(arrow::TimeUnit::MICRO);
    }
    case Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(*type);
      if (timestamp.unit() == arrow::TimeUnit::MICRO || timestamp.unit() == arrow::TimeUnit::NANO) {
        return type;
      }
      return arrow::timestamp(arrow::TimeUnit::MICRO, timestamp.timezone());
    }
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
      if (decimal.precision() > arrow::Decimal128Type::kMaxPrecision) break;
      return arrow::decimal128(decimal.precision(), decimal.scale());
    }
    case Type::DICTIONARY:
      return NormalizedType(static_cast<const arrow::DictionaryType&>(*type).value_type(), path);
    case Type::EXTENSION:
      return NormalizedType(static_cast<const arrow::ExtensionType&>(*type).storage_type(), path);
    case Type::STRUCT: return NormalizedStruct(type, path);
    case Type::MAP: return NormalizedMap(type, path);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::FIXED_SIZE_LIST:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW: return NormalizedList(type, path);
    default: break;
  }
  return arrow::Status::NotImplemented("column '", path, "' has the type ", type->ToString(),
                                       ", which is not supported");
}

arrow::Result<std::shared_ptr<arrow::Array>> NormalizedColumn(
    const std::shared_ptr<arrow::Array>& column, const std::shared_ptr<arrow::Field>& field,
    arrow::compute::ExecContext* context) {
  if (column->type()->Equals(*field->type())) return column;
  auto converted = arrow::compute::Cast(*column, field->type(),
                                        arrow::compute::CastOptions::Safe(), context);
  if (converted.ok()) return converted;
  const arrow::Status& status = converted.status();
  return status.WithMessage("column '", field->name(), "' of type ", column->type()->ToString(),
                            " cannot be read as ", field->type()->ToString(), ": ",
                            status.message());
}

class NormalizingReaderImplementation final : public arrow::RecordBatchReader {
 public:
  NormalizingReaderImplementation(std::shared_ptr<void> owner,
                                  std::shared_ptr<arrow::RecordBatchReader> source,
                                  std::shared_ptr<arrow::Schema> schema, arrow::MemoryPool* pool)
      : owner_(std::move(owner)),
        source_(std::move(source)),
        schema_(std::move(schema)),
        pool_(pool) {}

  ~NormalizingReaderImplementation() override { (void)Close(); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    return Catching([&]() -> arrow::Status {
      out->reset();
      if (source_ == nullptr) return arrow::Status::OK();
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(source_->ReadNext(&batch));
      if (batch == nullptr) return arrow::Status::OK();
      ARROW_ASSIGN_OR_RAISE(*out, Normalize(std::move(batch), schema_, pool_));
      return arrow::Status::OK();
    });
  }

  arrow::Status Close() override {
    return Catching([&]() -> arrow::Status {
      source_.reset();
      owner_.reset();
      return arrow::Status::OK();
    });
  }

 private:
  // Declared first, so destroyed last: it owns the pool and the file that `source_` reads.
  std::shared_ptr<void> owner_;
  std::shared_ptr<arrow::RecordBatchReader> source_;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::MemoryPool* pool_;
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::Schema>> NormalizedSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    ARROW_ASSIGN_OR_RAISE(auto normalized, NormalizedField(field, field->name()));
    fields.push_back(std::move(normalized));
  }
  return arrow::schema(std::move(fields));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Normalize(
    std::shared_ptr<arrow::RecordBatch> batch, const std::shared_ptr<arrow::Schema>& schema,
    arrow::MemoryPool* pool) {
  if (batch->num_columns() != schema->num_fields()) {
    return arrow::Status::Invalid("a batch with ", batch->num_columns(), " columns, not ",
                                  schema->num_fields());
  }
  ARROW_RETURN_NOT_OK(batch->ValidateFull());
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  arrow::ArrayVector columns;
  columns.reserve(static_cast<size_t>(batch->num_columns()));
  for (int index = 0; index < batch->num_columns(); index++) {
    ARROW_ASSIGN_OR_RAISE(auto column,
                          NormalizedColumn(batch->column(index), schema->field(index), &context));
    // 16 bytes, for 128-bit decimals, are more than Arrow promises.
    ARROW_ASSIGN_OR_RAISE(column, arrow::util::EnsureAlignment(std::move(column), 16, pool));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch->num_rows(), std::move(columns));
}

std::shared_ptr<arrow::RecordBatchReader> NormalizingReader(
    std::shared_ptr<void> owner, std::shared_ptr<arrow::RecordBatchReader> source,
    std::shared_ptr<arrow::Schema> schema, arrow::MemoryPool* pool) {
  return std::make_shared<NormalizingReaderImplementation>(std::move(owner), std::move(source),
                                                           std::move(schema), pool);
}

}  // namespace carrow

bool CArrowParseDouble(const char* text, int64_t length, double* out) {
  return length > 0 && arrow::internal::StringToFloat(text, static_cast<size_t>(length), '.', out);
}

bool CArrowParseFloat(const char* text, int64_t length, float* out) {
  return length > 0 && arrow::internal::StringToFloat(text, static_cast<size_t>(length), '.', out);
}
