// A question about a run that another stack than transformers' trains: the estimate with --stack.
#pragma once

#include <optional>

#include "api/question.h"
#include "estimate/rank_report.h"

namespace peakmem {

/// The answer where the question is about Megatron-Core or torchtitan, or the error where it has options of them and is
/// not; none where it is about transformers.
std::optional<Result<Answer>> answer_stack(const Question& question);

/// What the rank of --rank holds (its first, if none is named) where the question is about Megatron-Core; none where it
/// is about another stack.
std::optional<Result<RankClass>> rank_of_stack(const Subject& subject);

}  // namespace peakmem
