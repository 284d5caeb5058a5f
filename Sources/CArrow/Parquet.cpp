#include "CArrow.h"
#include <arrow/api.h>
#include <parquet/arrow/reader.h>

