// A question about a run that another stack than transformers' trains: the estimate with --stack.
#pragma once

#include <optional>

#include "api/question.h"

namespace peakmem {

/// The answer where the question is about Megatron-Core or torchtitan, or the error where it has options of them and is
/// not; none where it is about transformers.
std::optional<Result<Answer>> answer_stack(const Question& question);

}  // namespace peakmem
