// Help that teaches by example.
#pragma once

#include <string>

#include "api/question.h"

namespace peakmem::cli {

/// How many of a command's options its help shows: those most runs need, or all.
enum class Options : uint8_t { kMostUsed, kAll };

std::string help_text(const CommandRow& row, Options shown, const Style& style);

}  // namespace peakmem::cli
