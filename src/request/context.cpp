#include "request/context.h"

#include "format/json.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr const char* kField = "--context";

/// Bounds in bytes.
struct Measured {
  int64_t low;
  int64_t high;
};

std::optional<int64_t> integer(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  if (found == nullptr || found->kind != Value::Kind::kInteger || found->integer < 0) return std::nullopt;
  return found->integer;
}

Result<Measured> of_file(std::string_view text) {
  const Result<Value> file = parse_json(text);
  if (!file) return Error{kField, "the file is no JSON: " + file.error().problem, "peakmem verify writes one"};
  const Value* context = file->find("context_bytes");
  const std::optional<int64_t> low = context == nullptr ? std::nullopt : integer(*context, "low");
  const std::optional<int64_t> high = context == nullptr ? std::nullopt : integer(*context, "high");
  if (!low || !high || *low > *high)
    return Error{kField, "the file says nothing of context_bytes, low and high", "peakmem verify writes one that does"};
  return Measured{*low, *high};
}

Result<Measured> measured(std::string_view text, const Gpu& gpu) {
  if (text == "lazy") return Measured{gpu.context_low, gpu.context_low};
  if (text == "eager") return Measured{gpu.context_high, gpu.context_high};
  if (text.starts_with('{')) return of_file(text);
  const Result<int64_t> bytes = parse_bytes(text, kField);
  if (!bytes)
    return Error{kField, bytes.error().problem, "lazy, eager, a size such as 512MiB, or a .json of peakmem verify"};
  return Measured{*bytes, *bytes};
}

}  // namespace

std::optional<Error> read_context(const Options& asked, Request& request) {
  const std::string* text = asked.text("context");
  if (text == nullptr) return std::nullopt;
  if (request.gpu == nullptr)
    return Error{kField, "is what a process takes of a GPU, and no --gpu is named", "add --gpu, or drop it"};
  const Result<Measured> bounds = measured(*text, *request.gpu);
  if (!bounds) return bounds.error();
  if (bounds->high >= request.gpu->memory_bytes)
    return Error{kField,
                 in_binary_units(bounds->high) + " is all that --gpu " + std::string(request.gpu->name) +
                     " has: " + in_binary_units(request.gpu->memory_bytes),
                 "leave room for the run"};
  Gpu gpu = *request.gpu;
  gpu.context_low = bounds->low;
  gpu.context_high = gpu.context_most = bounds->high;
  const auto kept = std::make_shared<std::pair<Gpu, std::shared_ptr<const Gpu>>>(gpu, request.own_gpu);  // its names
  request.own_gpu = {kept, &kept->first};
  request.gpu = request.own_gpu.get();
  return std::nullopt;
}

}  // namespace peakmem
