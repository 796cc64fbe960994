// A model's config by name: one that comes with it, or one in a text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "format/value.h"
#include "size/result.h"
#include "trace/recording.h"

namespace peakmem {

/// A model by name, with its config; or a trace in its place. `stands_for` is the name that was asked for, where that
/// is another checkpoint of the same shape.
struct NamedConfig {
  std::string name;
  Value config;
  std::shared_ptr<const Recording> recording;
  std::string stands_for;
};

/// Where a model that is given by name comes from: the shipped ones, or files too.
using FindModel = Result<NamedConfig> (*)(std::string_view name);

/// The shipped model of that name, or the only one whose name begins with it and goes on with `-`; else the one of that
/// id on the Hugging Face hub (`meta-llama/Llama-3.1-8B-Instruct`): of any case, with or without the organisation, and
/// with the words that tell checkpoints of one shape apart, or by what its file names as `also` of that shape.
Result<NamedConfig> shipped_config(std::string_view name);
/// A config by that name; a file of data/models holds one beside its source.
NamedConfig named_config(const Value& value, std::string_view name);
/// The config in a text: a Hugging Face config, or a file of data/models, which holds one; or the trace in it.
Result<NamedConfig> parse_config(std::string_view text, std::string_view name);

/// The hub's id of a config that comes with peakmem, as its file says its source; any other name as it is.
std::string hub_id(std::string_view name);

}  // namespace peakmem
