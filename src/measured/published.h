// Published measurements of real GPUs (data/published/README.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/value.h"
#include "size/result.h"

namespace peakmem {

/// One measured run: the command line that asks for it, and its bytes, 0 where none were published.
struct PublishedRow {
  std::string row;  // where in the source
  std::string command;
  int64_t allocated_bytes = 0;   // torch.cuda.max_memory_allocated
  int64_t reserved_bytes = 0;    // torch.cuda.max_memory_reserved
  int64_t device_bytes = 0;      // nvidia-smi
  double tokens_per_second = 0;  // of one GPU
};

/// Rows of a source that are not modelled.
struct NotCovered {
  int64_t rows = 0;
  std::string why;
};

/// A file of data/published.
struct PublishedSource {
  std::string name;
  std::vector<PublishedRow> rows;
  std::vector<NotCovered> not_covered;
};

/// A file's content; what is missing or of another kind is an error that names it.
Result<PublishedSource> read_published(const Value& file);

}  // namespace peakmem
