// A question about a run of Megatron-Core: the estimate with --stack megatron.
#pragma once

#include <optional>

#include "door/question.h"

namespace peakmem {

/// The answer where the question is about Megatron-Core, or the error where it has options of it and is not; none where
/// it is about another stack.
std::optional<Result<Answer>> answer_megatron(const Question& question);

}  // namespace peakmem
