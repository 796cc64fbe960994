#include "request/gpu_choice.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "size/bytes.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr const char* kUsual = "a100-80gb";  // whose kernels and context a plain capacity is taken to have
constexpr int64_t kMostCards = 65536;

/// A row of the table that was changed, with the texts that its views are of.
struct OwnGpu {
  std::string name;
  std::string title;
  Gpu gpu;
};

std::shared_ptr<const Gpu> own_gpu(Gpu gpu, std::string name, std::string title) {
  const auto own = std::make_shared<OwnGpu>(OwnGpu{std::move(name), std::move(title), gpu});
  own->gpu.name = own->name;
  own->gpu.title = own->title;
  return {own, &own->gpu};
}

/// "2x" before a name: how many, and what is left of the text.
int64_t take_count(std::string_view& text) {
  int64_t count = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  const auto digits = static_cast<size_t>(end - text.data());
  const bool counts = problem == std::errc() && digits + 1 < text.size() && (*end == 'x' || *end == 'X');
  if (!counts) return 1;
  text.remove_prefix(digits + 1);
  while (text.starts_with(' ')) text.remove_prefix(1);
  return count;
}

Error unknown_gpu(std::string_view text, std::string_view field) {
  std::vector<std::string_view> names;
  for (const Gpu& gpu : gpus()) names.push_back(gpu.name);
  const auto near = nearest(text, names);
  return {std::string(field), in_quotes(text) + " is not known",
          (near ? "did you mean " + in_quotes(*near) + "? " : "") +
              "peakmem gpus lists the cards; a plain capacity is such as 24GiB"};
}

bool is_capacity(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9' &&
         std::string_view("bBgG").find(text.back()) != std::string_view::npos;
}

Result<GpuChoice> plain_capacity(std::string_view text, std::string_view field) {
  const Result<int64_t> bytes = parse_bytes(text, field);
  if (!bytes) return bytes.error();
  Gpu gpu = *find_gpu(kUsual);
  if (*bytes <= gpu.context_high)
    return Error{std::string(field),
                 in_quotes(text) + " leaves nothing beside a CUDA context of " + in_binary_units(gpu.context_high),
                 {}};
  gpu.memory_bytes = *bytes;
  gpu.aliases = {};
  gpu.source = "a plain capacity";
  gpu.rates = {};
  GpuChoice choice;
  choice.own = own_gpu(gpu, std::string(text), "a GPU of " + in_binary_units(*bytes));
  choice.gpu = choice.own.get();
  choice.assumption =
      "a plain capacity of " + in_binary_units(*bytes) + ": its kernels and its CUDA context are an A100's";
  return choice;
}

/// The card with what stands behind its name put to its memory, or taken away: "-1GiB".
Result<GpuChoice> changed_memory(GpuChoice choice, std::string_view change, std::string_view field) {
  const bool less = change.starts_with('-');
  if (!less && !change.starts_with('+'))
    return Error{std::string(field), in_quotes(change) + " behind a card's name must be less or more of its memory",
                 "such as rtx-4090:-1GiB; a plain capacity stands alone, such as 24GiB"};
  const Result<int64_t> bytes = parse_bytes(change.substr(1), field);
  if (!bytes) return bytes.error();
  Gpu gpu = *choice.gpu;
  const int64_t most = std::min(*bytes, int64_t{1} << 60);
  gpu.memory_bytes += less ? -most : most;
  if (gpu.memory_bytes <= gpu.context_high)
    return Error{std::string(field),
                 "leaves nothing of the " + in_binary_units(choice.gpu->memory_bytes) + " of a " +
                     std::string(choice.gpu->name) + " beside its CUDA context",
                 {}};
  const std::string sign = less ? "less " : "and ";
  choice.own = own_gpu(gpu, std::string(gpu.name) + ":" + std::string(change),
                       std::string(gpu.title) + ", " + sign + in_binary_units(*bytes));
  choice.gpu = choice.own.get();
  return choice;
}

/// Options whose answer is a number of cards.
bool seeks_cards(const Options& asked) {
  constexpr std::array<std::string_view, 3> kSought = {"fsdp", "gpus", "ranks"};
  const std::string* sought = asked.text("for");
  return sought != nullptr && std::find(kSought.begin(), kSought.end(), *sought) != kSought.end();
}

}  // namespace

Result<GpuChoice> parse_gpu(std::string_view text, std::string_view field) {
  GpuChoice choice;
  std::string_view name = text;
  choice.count = find_gpu(name) == nullptr ? take_count(name) : 1;
  if (choice.count < 1 || choice.count > kMostCards)
    return Error{
        std::string(field), "must be 1 to " + std::to_string(kMostCards) + " cards, is " + in_quotes(text), {}};
  const size_t colon = name.rfind(':');
  choice.gpu = find_gpu(name.substr(0, colon));
  if (choice.gpu == nullptr && colon == std::string_view::npos && is_capacity(name)) {
    Result<GpuChoice> plain = plain_capacity(name, field);
    if (plain) plain->count = choice.count;
    return plain;
  }
  if (choice.gpu == nullptr) return unknown_gpu(name.substr(0, colon), field);
  if (choice.gpu->compute_capability == 0)
    choice.assumption = std::string(choice.gpu->title) +
                        " is no NVIDIA GPU: of it only the capacity is known, what kernels "
                        "take for themselves is as on an A100";
  return colon == std::string_view::npos ? choice : changed_memory(choice, name.substr(colon + 1), field);
}

std::vector<std::string> gpus_of(std::string_view list) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t comma = std::min(list.find(',', begin), list.size());
    std::string_view name = list.substr(begin, comma - begin);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    names.emplace_back(name);
    begin = comma + 1;
  }
  return names;
}

std::optional<Error> read_gpu(const Options& asked, Request& request) {
  const std::string* text = asked.text("gpu");
  if (text == nullptr) return std::nullopt;
  if (text->find(',') != std::string::npos)
    return Error{"--gpu", "names several cards, and this command asks about one", "name one"};
  Result<GpuChoice> choice = parse_gpu(*text);
  if (!choice) return choice.error();
  request.gpu = choice->gpu;
  request.own_gpu = std::move(choice->own);
  request.gpu_count = choice->count;
  if (!choice->assumption.empty()) request.assumptions.push_back(std::move(choice->assumption));
  return std::nullopt;
}

std::optional<Error> check_gpu_count(const Options& asked, const Request& request) {
  if (request.gpu_count == 1 || seeks_cards(asked)) return std::nullopt;
  const std::string count = std::to_string(request.gpu_count);
  const int64_t ranks = ranks_of(request.job.recipe);
  if (ranks == request.gpu_count) return std::nullopt;
  if (ranks == 1)
    return Error{"--gpu", count + " cards hold what of the model their ranks hold, and there is one rank",
                 "add --fsdp " + count + " (shards) or --ddp " + count + " (copies)"};
  return Error{"--gpu", "is " + count + " cards for " + std::to_string(ranks) + " ranks", "name as many"};
}

}  // namespace peakmem
