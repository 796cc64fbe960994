#include "request/hardware.h"

namespace peakmem {
namespace {

constexpr int kAmpere = 80;  // the first with bf16, and with SDPA's flash kernel

bool is_half(DType dtype) { return dtype == DType::kBFloat16 || dtype == DType::kFloat16; }

/// Which of sdpa's kernels PyTorch picks, where a mask does not decide (sdp_utils.cpp of torch 2.13).
enum class SdpaKernel : uint8_t { kFlash, kEfficient, kMath };

SdpaKernel sdpa_kernel(const Job& job) {
  const Structure s = structure_of(job);
  const DType dtype = attention_dtype(job.recipe);
  const bool repeats = s.transformers <= Transformers::kV448 || s.wide_heads;  // keys and values, before it
  if (is_half(dtype) && s.attention_kernels.flash && job.description.task != Task::kSeq2SeqLm)
    return SdpaKernel::kFlash;
  const bool fits = s.attention_kernels.efficient(dtype).exists && (!s.grouped || repeats);
  return fits ? SdpaKernel::kEfficient : SdpaKernel::kMath;
}

std::string capability(const Gpu& gpu) {
  return std::string(gpu.title) + " (compute capability " + std::to_string(gpu.compute_capability / 10) + "." +
         std::to_string(gpu.compute_capability % 10) + ")";
}

/// Whether the GPU is known to be older than Ampere.
bool is_older(const Request& request) {
  return request.gpu != nullptr && request.gpu->compute_capability != 0 && request.gpu->compute_capability < kAmpere;
}

void warn_of_bf16(Request& request) {
  const Recipe& recipe = request.job.recipe;
  const bool asked = attention_dtype(recipe) == DType::kBFloat16 || recipe.weights == DType::kBFloat16;
  if (asked)
    request.warnings.push_back(capability(*request.gpu) +
                               " has no arithmetic in bf16, which begins with 8.0: PyTorch emulates it slowly, where "
                               "it does not fail; such cards train in fp16-mixed");
}

/// The kernel, where it is not the one that is expected: scores are no small thing, and a frequent surprise.
void say_of_sdpa(Request& request) {
  const Job& job = request.job;
  if (job.recipe.attention != Attention::kSdpa) return;
  const SdpaKernel kernel = sdpa_kernel(job);
  const std::string scores = ", with scores of batch x heads x seq x seq";
  if (!is_half(attention_dtype(job.recipe))) {
    if (kernel == SdpaKernel::kMath)
      request.assumptions.push_back("sdpa's kernel: math, as PyTorch picks in fp32 for " +
                                    std::string(structure_of(job).grouped ? "grouped heads" : "heads so wide") +
                                    scores);
    return;
  }
  if (!is_older(request)) return;
  const std::string without =
      "sdpa's kernel: " + capability(*request.gpu) + " has no flash one, which begins with 8.0; PyTorch takes ";
  request.assumptions.push_back(without + (kernel == SdpaKernel::kMath ? "plain products there" + scores + " in fp32"
                                                                       : "the memory-efficient one there"));
}

}  // namespace

void say_of_hardware(Request& request) {
  say_of_sdpa(request);
  if (is_older(request)) warn_of_bf16(request);
}

}  // namespace peakmem
