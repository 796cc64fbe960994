#include "io/hardware.h"

namespace peakmem {
namespace {

constexpr int kAmpere = 80;  // the first with bf16, and with SDPA's flash kernel

bool is_half(DType dtype) { return dtype == DType::kBFloat16 || dtype == DType::kFloat16; }

/// The dtype attention runs in.
DType attention_dtype(const Recipe& recipe) {
  return recipe.sharding.casts_parameters ? recipe.sharding.param_dtype : product_dtype(recipe);
}

/// Whether _scaled_dot_product_attention_math runs in fp32: the memory-efficient kernel, which alone of the fused ones
/// takes fp32, wants as many heads of keys as of queries, and heads of whole 16 bytes (sdp_utils.cpp of torch 2.13).
bool takes_math_kernel(const Job& job) {
  const Structure s = structure_of(job);
  if (s.attention != Attention::kSdpa || is_half(attention_dtype(job.recipe))) return false;
  const bool repeats = s.transformers <= Transformers::kV448 || s.wide_heads;  // keys and values, before it
  return s.unaligned_heads || (s.grouped && !repeats);
}

std::string capability(const Gpu& gpu) {
  return std::string(gpu.title) + " (compute capability " + std::to_string(gpu.compute_capability / 10) + "." +
         std::to_string(gpu.compute_capability % 10) + ")";
}

void warn_of_bf16(Inquiry& inquiry) {
  const Recipe& recipe = inquiry.job.recipe;
  const bool asked = attention_dtype(recipe) == DType::kBFloat16 || recipe.weights == DType::kBFloat16;
  if (asked)
    inquiry.warnings.push_back(capability(*inquiry.gpu) +
                               " has no arithmetic in bf16, which begins with 8.0: PyTorch emulates it slowly, where "
                               "it does not fail; such cards train in fp16-mixed");
}

/// On older cards PyTorch goes past the flash kernel, which is what is traced in half precision.
void warn_of_flash(Inquiry& inquiry) {
  const Job& job = inquiry.job;
  const DType dtype = attention_dtype(job.recipe);
  if (job.recipe.attention != Attention::kSdpa || !is_half(dtype)) return;
  const std::string without = capability(*inquiry.gpu) +
                              " has no flash kernel for sdpa, which begins with 8.0 and is what is traced in half "
                              "precision: PyTorch takes the ";
  if (dtype == DType::kBFloat16 || structure_of(job).grouped)
    inquiry.warnings.push_back(
        without +
        "math one there, which keeps scores of batch x heads x seq x seq in fp32, so that a real "
        "run takes more than this says");
  else
    inquiry.assumptions.push_back(without + "memory-efficient one there, which keeps about as much");
}

}  // namespace

void say_of_hardware(Inquiry& inquiry) {
  if (takes_math_kernel(inquiry.job))
    inquiry.assumptions.emplace_back(
        "sdpa's kernel: math, as PyTorch picks in fp32 for grouped heads, with scores of batch x heads x seq x seq");
  if (inquiry.gpu == nullptr || inquiry.gpu->compute_capability == 0 || inquiry.gpu->compute_capability >= kAmpere)
    return;
  warn_of_bf16(inquiry);
  warn_of_flash(inquiry);
}

}  // namespace peakmem
