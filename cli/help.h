// Help that teaches by example.
#pragma once

#include <string>

#include "arguments.h"

namespace peakmem::cli {

std::string help_text(const CommandRow& row);

}  // namespace peakmem::cli
