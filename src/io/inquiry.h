// From what a face was asked (a model and options) to a job that can be estimated.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "device/allocator.h"
#include "device/gpu.h"
#include "io/options.h"
#include "model/value.h"
#include "size/print.h"
#include "train/step.h"

namespace peakmem {

/// A model by name, with its config.
struct NamedConfig {
  std::string name;
  Value config;
};

/// A question that can be answered: the job, the GPU if one was named, and what was taken for granted.
struct Inquiry {
  std::string name;
  Job job;
  const Gpu* gpu = nullptr;
  std::optional<AllocatorOptions> allocator = AllocatorOptions{};  // to replay; none: what it reserves is only bounded
  Letters letters;                                                 // of the formulas
  std::vector<std::string> assumptions;
  std::vector<std::string> warnings;
};

/// The shipped model of that name, or the only one whose name begins with it and goes on with `-`.
Result<NamedConfig> shipped_config(std::string_view name);
/// A config by that name; a file of data/models holds one beside its source.
NamedConfig named_config(const Value& value, std::string_view name);
/// The config in a text: a Hugging Face config, or a file of data/models, which holds one.
Result<NamedConfig> parse_config(std::string_view text, std::string_view name);

/// The inquiry about `model`, or about the model that --layers, --heads and --hidden describe where it is null.
/// Checks the options first.
Result<Inquiry> make_inquiry(const NamedConfig* model, const OptionValues& values, Command command);

}  // namespace peakmem
