#include <cmath>

#include "api/request_of.h"
#include "estimate/explain.h"
#include "measured/out_of_memory.h"
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
std::optional<Gpu> gpu_of(const OutOfMemory& message, const Request& request) {
  if (!message.capacity || message.capacity->bytes == 0)
    return request.gpu == nullptr ? std::nullopt : std::optional(*request.gpu);
  Gpu gpu = request.gpu != nullptr ? *request.gpu : *find_gpu("a100-80gb");
  if (request.gpu == nullptr) gpu.name = gpu.title = "the message's";
  gpu.memory_bytes = message.capacity->bytes;
  return gpu;
}

std::optional<Error> check_gpu(const OutOfMemory& message, const Request& request) {
  if (request.gpu == nullptr || !message.capacity) return std::nullopt;
  if (apart(message.capacity->bytes, request.gpu->memory_bytes) <= kSame) return std::nullopt;
  return Error{"--gpu",
               std::string(request.gpu->name) + " has " + in_binary_units(request.gpu->memory_bytes) +
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
      message->capacity && !Options(subject.options).has("gpu") ? nearest_gpu(message->capacity->bytes) : nullptr;
  if (nearest != nullptr) subject.options.push_back({"gpu", std::string(nearest->name)});
  Result<Request> request = request_of(subject, Command::kExplain);
  if (!request) return request.error();
  if (auto wrong = check_gpu(*message, *request)) return *wrong;
  if (nearest != nullptr)
    request->assumptions.push_back("gpu: " + std::string(nearest->name) + ", by the capacity in the message");
  const std::optional<Gpu> gpu = gpu_of(*message, *request);
  const Result<Explanation> explanation = explain(request->job, refusal_of(*message), gpu ? &*gpu : nullptr,
                                                  request->allocator.value_or(AllocatorOptions{}));
  if (!explanation) return explanation.error();
  if (wants_json(question)) return json_answer(explain_json(*explanation, *message, *request));
  return Answer{explain_text(*explanation, *message, *request, question.style)};
}

}  // namespace peakmem
