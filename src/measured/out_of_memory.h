// PyTorch's message about memory that it cannot get.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "size/result.h"

namespace peakmem {

/// A size as it was printed: any from `bytes - slack` to `bytes + slack`.
struct PrintedBytes {
  int64_t bytes = 0;
  int64_t slack = 0;  // half of the last digit

  bool holds(int64_t other) const { return other >= bytes - slack && other <= bytes + slack; }
};

/// What a torch.OutOfMemoryError says. Messages before torch 2.1 have what is reserved in all, later ones the part of
/// it that is not allocated; either may be cut short.
struct OutOfMemory {
  PrintedBytes tried;
  std::optional<PrintedBytes> capacity;
  std::optional<PrintedBytes> free;
  std::optional<PrintedBytes> in_use;  // by the whole process
  std::optional<PrintedBytes> allocated;
  std::optional<PrintedBytes> unallocated;  // reserved by PyTorch beside that
};

/// The first such message in a text, which may be a whole log. `field` names the text in an error.
Result<OutOfMemory> read_out_of_memory(std::string_view text, std::string_view field);

}  // namespace peakmem
