#include "request/named_config.h"

#include <algorithm>
#include <array>
#include <vector>

#include "format/json.h"
#include "request/shipped.h"
#include "request/trace_file.h"
#include "size/nearest.h"
#include "size/text.h"
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
  NamedConfig config = {std::string(name), {}, std::move(*recording), {}};
  if (!config.recording->name.empty()) config.name = config.recording->name;
  return config;
}

/// Words of a checkpoint's name that say how it was trained or stored; its shape is that of the name without them.
constexpr std::array<std::string_view, 13> kOfCheckpoints = {"instruct", "chat", "it",   "base", "hf",   "pt",  "meta",
                                                             "unsloth",  "bnb",  "4bit", "8bit", "fp16", "bf16"};

/// A hub id in lower case, without organisation and without the words of checkpoints.
std::string shape_of(std::string_view id) {
  const std::string name = lower(id.substr(id.rfind('/') + 1));  // npos + 1 is 0
  std::string kept;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('-', begin), name.size());
    const std::string word = name.substr(begin, end - begin);
    if (std::find(kOfCheckpoints.begin(), kOfCheckpoints.end(), word) == kOfCheckpoints.end())
      kept += (kept.empty() ? "" : "-") + word;
    begin = end + 1;
  }
  return kept;
}

/// What stands behind a key in a shipped file's text, up to one of the characters of `end`; empty where it is not
/// there.
std::string_view after_key(const ShippedFile& file, std::string_view key, std::string_view end) {
  const size_t at = file.text.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = file.text.substr(at + key.size());
  return rest.substr(0, rest.find_first_of(end));
}

/// The hub id that a shipped file says it is of; empty where it says none.
std::string_view source_of(const ShippedFile& file) { return after_key(file, "\"source\": \"", ",: \""); }

/// The hub ids that a shipped file is found by: the one it is of, and those it names as of the same shape.
std::vector<std::string_view> ids_of(const ShippedFile& file) {
  std::vector<std::string_view> ids = {source_of(file)};
  std::string_view also = after_key(file, "\"also\": [", "]");
  for (size_t begin = also.find('"'); begin != std::string_view::npos; begin = also.find('"')) {
    also.remove_prefix(begin + 1);
    ids.push_back(also.substr(0, also.find('"')));
    also.remove_prefix(std::min(also.size(), ids.back().size() + 1));
  }
  return ids;
}

/// The shipped file of a hub id, or null; the exact one before one of the same shape.
const ShippedFile* file_of_hub(std::string_view id) {
  const std::string low = lower(id);
  const std::string shape = shape_of(id);
  const ShippedFile* alike = nullptr;
  for (const ShippedFile& file : shipped_models()) {
    if (file.name == shape) alike = &file;
    for (const std::string_view each : ids_of(file)) {
      const std::string known = lower(each);
      if (!known.empty() && (known == low || known.substr(known.rfind('/') + 1) == low)) return &file;
      if (!known.empty() && shape_of(known) == shape) alike = &file;
    }
  }
  return alike;
}

}  // namespace

Result<NamedConfig> shipped_config(std::string_view name) {
  const std::vector<std::string_view> longer = longer_names(name);
  const ShippedFile* found = nullptr;
  for (const ShippedFile& file : shipped_models())
    if (file.name == name || (found == nullptr && longer.size() == 1 && file.name == longer[0])) found = &file;
  const bool of_hub = found == nullptr && longer.empty();
  if (of_hub) found = file_of_hub(name);
  if (found == nullptr) return unknown_model(name, longer);
  Result<NamedConfig> config = parse_config(found->text, found->name);
  if (config && of_hub && lower(name.substr(name.rfind('/') + 1)) != found->name) config->stands_for = name;
  return config;
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

std::string hub_id(std::string_view name) {
  for (const ShippedFile& file : shipped_models())
    if (file.name == name && source_of(file).find('/') != std::string_view::npos) return std::string(source_of(file));
  return std::string(name);
}

}  // namespace peakmem
