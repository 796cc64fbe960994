// Files that come with the program: the model configs of data/models, built in.
#pragma once

#include <span>
#include <string_view>

namespace peakmem {

/// A file by its name without extension.
struct ShippedFile {
  std::string_view name;
  std::string_view text;
};

/// The configs of data/models, in order of name.
std::span<const ShippedFile> shipped_models();

}  // namespace peakmem
