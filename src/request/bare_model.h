// A model described by its sizes, instead of a config or in place of some of its fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "family/family.h"
#include "request/request.h"

namespace peakmem {

/// Whether the options describe a model of their own.
bool has_bare_sizes(const Options& asked);

/// A config of --family with the sizes that were asked for, and `transformers`' defaults for the others. A size that is
/// a symbol gets a value that goes with the rest.
Result<NamedConfig> bare_config(const Options& asked, std::vector<std::string>& assumptions);

/// The options that size a model of this family.
std::vector<std::string_view> size_options(const Family& family);

/// The config with the sizes that were asked for in place of its own: as if the file were edited so.
Result<NamedConfig> resized_config(const NamedConfig& model, const Options& asked,
                                   std::vector<std::string>& assumptions);

}  // namespace peakmem
