#include "request/loop_options.h"

#include "model/cache.h"
#include "request/choices.h"

namespace peakmem {
namespace {

/// Whether the loop's names outlive the step.
void read_outputs(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* kept = asked.text("keep-outputs");
  recipe.names = kept != nullptr ? value_in(kLoopNames, *kept) : recipe.trainer->names;
  if (recipe.names != LoopNames::kNothing && kept == nullptr)
    request.assumptions.emplace_back(
        "the loop keeps the model's outputs until the next forward pass (--keep-outputs loss: only batch and loss; no: "
        "nothing)");
}

/// Where the model is built unless said otherwise: what FSDP cuts is mostly made without memory first.
bool init_of(const Recipe& recipe) { return recipe.trainer->builds_on_device && !is_wrapped(recipe.sharding); }

/// Where the model is built. Of models that tie nothing both are the same.
std::optional<Error> read_init(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* given = asked.text("init");
  recipe.built_on_device = given != nullptr ? value_in(kInits, *given) : init_of(recipe);
  if (given != nullptr && recipe.built_on_device && !builds_on_device(recipe))
    return Error{"--init", "cannot be device: a quantized model is loaded", "drop one"};
  if (given == nullptr && builds_on_device(recipe) && request.job.description.tied)
    request.assumptions.emplace_back(
        "the model is built on the device, where what is tied leaves a cached segment (--init loaded: "
        "from_pretrained)");
  return std::nullopt;
}

/// Why the model cannot have a cache; empty where it can. Where layers are checkpointed transformers turns it off
/// (5.23, modeling_layers.py), but for GPT-BigCode of 4.48.
std::string cannot_cache(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (!has_cache(find_family(job.description.family)->usual_task))
    return job.description.family + " keeps no keys and values";
  if (recipe.kernels.loss == LossKernel::kChunked) return "TRL's chunked loss runs the model without (--loss)";
  const bool stays = job.description.family == "gpt_bigcode" && recipe.transformers == Transformers::kV448;
  if (recipe.checkpointing != Checkpointing::kNone && !stays)
    return "transformers turns the cache off where layers are checkpointed (--checkpointing)";
  return {};
}

/// Whether the loop leaves the cache on: transformers.Trainer turns it off from transformers 5 on; a frugal loop has
/// none, nor has one around a model outside of transformers.
bool leaves_cache(const Recipe& recipe) {
  if (recipe.trainer->is_transformers_loop) return recipe.transformers != Transformers::kV523;
  return recipe.names == LoopNames::kOutputs && recipe.kernels.loss != LossKernel::kPlain;
}

void read_cache(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  if (const std::string* given = asked.text("use-cache")) {
    recipe.use_cache = value_in(kYesNo, *given);
    return;
  }
  recipe.use_cache = request.job.description.uses_cache && leaves_cache(recipe) && cannot_cache(request.job).empty();
  if (recipe.use_cache)
    request.assumptions.emplace_back("use-cache: yes, as the config and the loop leave it (--use-cache no: no cache)");
}

}  // namespace

std::optional<Error> check_loop(const Job& job) {
  if (!job.recipe.use_cache) return std::nullopt;
  const std::string why_not = cannot_cache(job);
  if (why_not.empty()) return std::nullopt;
  return Error{"--use-cache", "cannot be yes: " + why_not, "drop one"};
}

std::optional<Error> read_loop(const Options& asked, Request& request) {
  read_outputs(asked, request);
  if (auto error = read_init(asked, request)) return error;
  read_cache(asked, request);
  return std::nullopt;
}

}  // namespace peakmem
