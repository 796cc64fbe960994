#include "io/stack.h"

#include <algorithm>
#include <array>

#include "io/choices.h"

namespace peakmem {
namespace {

constexpr std::array<std::string_view, 2> kFamiliesOf448 = {"llama", "mistral"};

/// Whether the 4.48 code makes an attention mask, which is not traced.
bool makes_mask_in_4_48(const Inquiry& inquiry) {
  const Description& d = inquiry.job.description;
  const Recipe& recipe = inquiry.job.recipe;
  const bool windowed = std::any_of(d.runs.begin(), d.runs.end(), [](const LayerRun& run) { return run.windowed; });
  return recipe.attention == Attention::kEager ||
         (recipe.attention == Attention::kSdpa && windowed && recipe.seq >= d.window);
}

std::optional<Error> check_4_48(const Asked& asked, const Inquiry& inquiry) {
  const Description& d = inquiry.job.description;
  const auto not_modelled = [](std::string what, std::string hint) {
    return Error{"--transformers", "4.48 is not modelled " + std::move(what), std::move(hint)};
  };
  if (std::find(kFamiliesOf448.begin(), kFamiliesOf448.end(), d.family) == kFamiliesOf448.end())
    return not_modelled("for " + d.family, "known for it: llama, mistral");
  if (d.task != Task::kCausalLm) return not_modelled("for this task", "known for it: causal-lm");
  if (makes_mask_in_4_48(inquiry))
    return not_modelled("where attention needs a mask",
                        "pass --attention flash2, or a sequence shorter than the window");
  for (const char* ranks : {"fsdp", "hsdp", "ddp"})
    if (asked.has(ranks)) return not_modelled("over ranks", "drop --" + std::string(ranks));
  if (inquiry.job.recipe.seq == 1) return not_modelled("for sequences of one token", "its loss has nothing to predict");
  return std::nullopt;
}

}  // namespace

std::optional<Error> read_stack(const Asked& asked, Inquiry& inquiry) {
  const std::string* version = asked.text("transformers");
  if (version == nullptr) return std::nullopt;
  inquiry.job.recipe.transformers = value_in(kTransformers, *version);
  return inquiry.job.recipe.transformers == Transformers::k4_48 ? check_4_48(asked, inquiry) : std::nullopt;
}

}  // namespace peakmem
