#include <cmath>

#include "door/inquire.h"
#include "estimate/explain.h"
#include "io/out_of_memory.h"
#include "report/explain_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr double kSame = 0.02;  // drivers and ECC leave a card this much less, or more

double apart(int64_t a, int64_t b) { return std::fabs(static_cast<double>(a) / static_cast<double>(b) - 1); }

/// The known GPU whose memory is nearest to the message's, if that is near.
const Gpu* nearest_gpu(int64_t capacity) {
  const Gpu* nearest = nullptr;
  for (const Gpu& gpu : gpus())
    if (apart(gpu.memory_bytes, capacity) <= kSame &&
        (nearest == nullptr || apart(gpu.memory_bytes, capacity) < apart(nearest->memory_bytes, capacity)))
      nearest = &gpu;
  return nearest;
}

/// The GPU of the message, of which the context and the kernels' buffers are those of one that is known.
std::optional<Gpu> gpu_of(const OutOfMemory& message, const Inquiry& inquiry) {
  if (!message.capacity || message.capacity->bytes == 0)
    return inquiry.gpu == nullptr ? std::nullopt : std::optional(*inquiry.gpu);
  Gpu gpu = inquiry.gpu != nullptr ? *inquiry.gpu : *find_gpu("a100-80gb");
  if (inquiry.gpu == nullptr) gpu.name = gpu.title = "the message's";
  gpu.memory_bytes = message.capacity->bytes;
  return gpu;
}

std::optional<Error> check_gpu(const OutOfMemory& message, const Inquiry& inquiry) {
  if (inquiry.gpu == nullptr || !message.capacity) return std::nullopt;
  if (apart(message.capacity->bytes, inquiry.gpu->memory_bytes) <= kSame) return std::nullopt;
  return Error{"--gpu",
               std::string(inquiry.gpu->name) + " has " + in_binary_units(inquiry.gpu->memory_bytes) +
                   ", but the message says a total capacity of " + in_binary_units(message.capacity->bytes),
               "drop --gpu: the message says how large the GPU is"};
}

Refusal refusal_of(const OutOfMemory& message) {
  Refusal refusal = {message.tried.bytes - message.tried.slack, message.tried.bytes + message.tried.slack};
  if (message.allocated) refusal.allocated_bytes = message.allocated->bytes;
  return refusal;
}

}  // namespace

Result<Answer> answer_explain(const Question& question) {
  Subject subject = question.subject;
  const std::optional<std::string> text = take_option(subject.options, "message");
  if (!text)
    return Error{"--message", "is missing", "pass what PyTorch printed: CUDA out of memory. Tried to allocate ..."};
  const Result<OutOfMemory> message = read_out_of_memory(*text, "MESSAGE");
  if (!message) return message.error();
  const Gpu* nearest =
      message->capacity && !Asked(subject.options).has("gpu") ? nearest_gpu(message->capacity->bytes) : nullptr;
  if (nearest != nullptr) subject.options.push_back({"gpu", std::string(nearest->name)});
  Result<Inquiry> inquiry = inquire(subject, Command::kExplain);
  if (!inquiry) return inquiry.error();
  if (auto wrong = check_gpu(*message, *inquiry)) return *wrong;
  if (nearest != nullptr)
    inquiry->assumptions.push_back("gpu: " + std::string(nearest->name) + ", by the capacity in the message");
  const std::optional<Gpu> gpu = gpu_of(*message, *inquiry);
  const Result<Explanation> explanation = explain(inquiry->job, refusal_of(*message), gpu ? &*gpu : nullptr,
                                                  inquiry->allocator.value_or(AllocatorOptions{}));
  if (!explanation) return explanation.error();
  if (wants_json(question)) return json_answer(explain_json(*explanation, *message, *inquiry));
  return Answer{explain_text(*explanation, *message, *inquiry, question.style)};
}

}  // namespace peakmem
