// The manual page, made of the tables of commands and of options.
#pragma once

#include <string>

namespace peakmem::cli {

/// peakmem(1), for man and groff.
std::string manual_text();

}  // namespace peakmem::cli
