// What an op that does not multiply moves: how much it reads for what it writes.
#pragma once

#include <string_view>

namespace peakmem {

/// Bytes that an op of that name (aten's) reads for every byte of its result: 1 where it has one operand, 0 where it
/// only fills memory or hands it out. What is read beside that (a sum's rows) is not counted.
int reads_of(std::string_view op);

}  // namespace peakmem
