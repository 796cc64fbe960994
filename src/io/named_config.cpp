#include "io/named_config.h"

#include <vector>

#include "io/json.h"
#include "io/shipped.h"
#include "io/trace_file.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// Shipped models whose name goes on after `name`: `bert-large` for `bert-large-uncased`.
std::vector<std::string_view> longer_names(std::string_view name) {
  std::vector<std::string_view> longer;
  for (const ShippedFile& file : shipped_models())
    if (file.name.size() > name.size() && file.name.starts_with(name) && file.name[name.size()] == '-')
      longer.push_back(file.name);
  return longer;
}

Error unknown_model(std::string_view name, const std::vector<std::string_view>& longer) {
  const std::string problem = in_quotes(name) + " is no model that comes with peakmem, no file and no folder";
  if (!longer.empty()) return {"MODEL", in_quotes(name) + " could be several models", did_you_mean("", longer)};
  std::vector<std::string_view> known;
  for (const ShippedFile& file : shipped_models()) known.push_back(file.name);
  const size_t slash = name.rfind('/');  // meta-llama/Llama-3.1-8B is how others call it
  const auto near = nearest(slash == std::string_view::npos ? name : name.substr(slash + 1), known);
  return {"MODEL", problem,
          near ? "did you mean " + std::string(*near) + "?" : "peakmem models lists those that come with it"};
}

/// An error of a text's reader, with the text's name.
Error in_text(const Error& error, std::string_view name) {
  return {name, error.problem + (error.field.empty() ? "" : " at " + error.field), error.hint};
}

Result<NamedConfig> parse_recording(std::string_view text, std::string_view name) {
  Result<std::shared_ptr<const Recording>> recording = read_trace(text);
  if (!recording) return in_text(recording.error(), name);
  NamedConfig config = {std::string(name), {}, std::move(*recording)};
  if (!config.recording->name.empty()) config.name = config.recording->name;
  return config;
}

}  // namespace

Result<NamedConfig> shipped_config(std::string_view name) {
  const std::vector<std::string_view> longer = longer_names(name);
  const ShippedFile* found = nullptr;
  for (const ShippedFile& file : shipped_models())
    if (file.name == name || (found == nullptr && longer.size() == 1 && file.name == longer[0])) found = &file;
  return found == nullptr ? Result<NamedConfig>(unknown_model(name, longer)) : parse_config(found->text, found->name);
}

Result<NamedConfig> parse_config(std::string_view text, std::string_view name) {
  if (says_trace(text) || name.ends_with(kTraceEnding)) return parse_recording(text, name);
  Result<Value> value = parse_json(text);
  if (!value) return in_text(value.error(), name);
  return named_config(*value, name);
}

NamedConfig named_config(const Value& value, std::string_view name) {
  const Value* inner = value.find("config");
  const bool wrapped = inner != nullptr && inner->kind == Value::Kind::kObject && value.find("model_type") == nullptr;
  return {std::string(name), wrapped ? *inner : value, nullptr};
}

}  // namespace peakmem
