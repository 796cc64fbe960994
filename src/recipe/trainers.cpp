#include "recipe/trainers.h"

#include <array>

namespace peakmem {
namespace {

constexpr std::array kTrainers = {
    Trainer{.name = "loop",
            .title = "a plain loop",
            .source = "PEFT 0.21, prepare_model_for_kbit_training",
            .builds_on_device = true,
            .names = LoopNames::kOutputs},
    Trainer{"hf", "Trainer of transformers",
            "transformers 5.23, trainer.py; PEFT 0.21, prepare_model_for_kbit_training", true},
    Trainer{"trl", "SFTTrainer of TRL", "TRL 1.16, trainer/sft_trainer.py", true, Upcast::kNone, true,
            Transformers::kV523, true, LossKernel::kChunked, false},
    Trainer{"trl-0.13", "SFTTrainer of TRL 0.13", "TRL 0.13, trainer/utils.py, peft_module_casting_to_bf16", true,
            Upcast::kNorms, false, Transformers::kV448, true},
    Trainer{"trl-0.11", "SFTTrainer of TRL 0.11", "TRL 0.11, trainer/utils.py, peft_module_casting_to_bf16", true,
            Upcast::kNorms, false, Transformers::kV445, true},
};

}  // namespace

std::span<const Trainer> trainers() { return kTrainers; }

const Trainer* find_trainer(std::string_view name) {
  for (const Trainer& trainer : kTrainers)
    if (trainer.name == name) return &trainer;
  return nullptr;
}

}  // namespace peakmem
