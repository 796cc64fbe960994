#include "request/mixture_options.h"

#include "model/adapted_parameter.h"
#include "size/bytes.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

const MixtureTargets* mixture_of(const Job& job) {
  return mixture_targets(job.description.family, job.recipe.transformers);
}

/// _convert_peft_config_moe of PEFT 0.21: one half of a fused parameter cannot be adapted alone.
std::optional<Error> check_halves(const MixtureTargets& mixture, const Lora& lora) {
  const bool gate = lora.adapts(mixture.gate);
  if (gate == lora.adapts(mixture.up)) return std::nullopt;
  const std::string present(gate ? mixture.gate : mixture.up);
  const std::string missing(gate ? mixture.up : mixture.gate);
  return Error{"--lora-targets",
               present + " cannot be adapted without " + missing +
                   ", at which PEFT raises an error: the two are fused into one parameter, gate_up_proj",
               "name both, or neither"};
}

/// Bytes of the experts' parameters, in the dtype they are kept in.
int64_t bytes_of_experts(const Job& job) {
  const Program program = built(job);
  int64_t bytes = 0;
  for (const Storage& storage : program.storages) {
    const ScopeName& scope = program.scopes[static_cast<size_t>(storage.scope)];
    const std::string_view name(scope.name);
    const std::string_view module(program.scopes[static_cast<size_t>(scope.parent)].name);
    if (module != "experts" || (name != "gate_up_proj" && name != "down_proj")) continue;
    bytes += program.turns[static_cast<size_t>(storage.turn)].count.number() * storage.bytes.number();
  }
  return bytes;
}

}  // namespace

void warn_of_adapted_experts(Request& request) {
  const Lora& lora = request.job.recipe.lora;
  const MixtureTargets* mixture = mixture_of(request.job);
  if (mixture != nullptr && (lora.adapts(mixture->gate) || lora.adapts(mixture->down)))
    request.warnings.emplace_back(
        "adapters on experts: PEFT adds their update to the whole of a layer's experts in every forward pass, and the "
        "sums are kept for the backward pass; --lora-targets q_proj,k_proj,v_proj,o_proj leaves the experts alone");
}

std::optional<Error> check_mixture_adapters(const Job& job) {
  const Lora& lora = job.recipe.lora;
  const MixtureTargets* mixture = mixture_of(job);
  if (mixture == nullptr) return std::nullopt;
  if (auto wrong = check_halves(*mixture, lora)) return wrong;
  const bool experts = lora.adapts(mixture->gate) || lora.adapts(mixture->down);
  if (!experts && !lora.adapts("gate")) return std::nullopt;
  if (lora.dropout > 0)
    return Error{"--lora-dropout",
                 "contradicts --lora-targets: PEFT adapts this mixture's router and experts as parameters, and raises "
                 "\"lora.ParamWrapper does not work with lora_dropout != 0\"",
                 "pass --lora-dropout 0, or --lora-targets q_proj,k_proj,v_proj,o_proj"};
  return std::nullopt;
}

void warn_of_whole_experts(Request& request) {
  const Job& job = request.job;
  const Recipe& recipe = job.recipe;
  if (recipe.quantize == Quantize::kNone || job.description.experts == 0) return;
  if (recipe.transformers != Transformers::kV523) return;
  const bool full = recipe.upcast == Upcast::kAll;
  std::string text =
      "the experts are not quantized: transformers 5 keeps them as parameters, and bitsandbytes packs linear layers "
      "only; they take " +
      in_binary_units(bytes_of_experts(job)) + " in " + std::string(name_of(structure_of(job).weights));
  if (full) text += ", as prepare_model_for_kbit_training makes them; --upcast none leaves them as they were loaded";
  if (job.description.family == "mixtral")
    text += "; with --transformers 4.48 --experts loop they are a list of layers, which are packed";
  request.warnings.push_back(std::move(text));
}

std::optional<Error> check_grouped(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  if (structure_of(job).weights != DType::kBFloat16) {
    if (recipe.quantize != Quantize::kNone && recipe.upcast == Upcast::kAll)
      return Error{"--experts",
                   "cannot be grouped beside --quantize: preparation makes the experts fp32, and their grouped GEMM "
                   "takes nothing but bf16",
                   "pass --experts loop, or --upcast none"};
    return Error{"--precision", "cannot be other than bf16: the grouped GEMM of experts takes nothing else",
                 "pass --precision bf16 or --experts loop"};
  }
  constexpr int64_t kMultiple = 8;  // of 2 bytes: strides of 16 (torch 2.13, _grouped_mm)
  for (const int64_t width : {d.hidden, d.ffn})
    if (width % kMultiple != 0)
      return Error{"--experts",
                   "cannot be grouped at a width of " + std::to_string(width) +
                       ": PyTorch's grouped GEMM wants strides that are multiples of 16 bytes",
                   "pass --experts loop"};
  return std::nullopt;
}

}  // namespace peakmem
