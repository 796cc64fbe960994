// Every way to train a model on a number of cards, as a numbered space: a choice on each of a few axes.
//
//     id = ((layout · batches + batch) · checkpointings + checkpointing) · …      the last axis runs quickest
#pragma once

#include <string>
#include <vector>

#include "plan/changes.h"
#include "request/gpu_choice.h"

namespace peakmem {

/// What is asked for: the cards, how many sequences a step has, what may be changed, and the options that stay.
struct PlanQuestion {
  std::string gpu;  // the card's name, as it was given
  GpuChoice card;   // one of them, and how many
  int64_t global_batch = 0;
  std::vector<std::string> allowed;
  OptionValues options;  // of the run; those that an axis would set hold it
  std::vector<std::string> assumptions;
};

/// One thing to choose: the options that each choice sets ("--checkpointing full"; "" sets none).
struct PlanAxis {
  std::string name;
  std::vector<std::string> choices;
};

/// All plans, numbered.
struct PlanSpace {
  std::vector<PlanAxis> axes;
  OptionValues fixed;  // options of every plan, those of its card included

  int64_t size() const;
};

/// Reads --gpus, --global-batch and --allow; the others stay.
Result<PlanQuestion> read_plan_question(const OptionValues& values);

/// The space of a question: axes that an option holds are left out.
Result<PlanSpace> plan_space(const PlanQuestion& question);

/// What a plan chooses, by axis; `id` is within the space.
std::vector<std::string> choices_at(const PlanSpace& space, int64_t id);
/// The options of a plan.
OptionValues options_at(const PlanSpace& space, int64_t id);
/// The plans that differ from this one on one axis.
std::vector<int64_t> neighbours(const PlanSpace& space, int64_t id);

}  // namespace peakmem
