// Training on pairs that are compared with no reference: ORPO, CPO and SimPO.
#pragma once

#include "layout/data_parallel.h"
#include "model/model.h"
#include "recipe/recipe.h"

namespace peakmem {

/// compute_loss of TRL 1.16's ORPOTrainer or CPOTrainer (trl/experimental/orpo, trl/experimental/cpo), which take whole
/// logits from the model: ORPO with its own loss, CPO with that of its config's defaults, SimPO as its authors train
/// (loss_type simpo, cpo_alpha 0). `parallel` may be null.
Tensor reference_free_loss(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe,
                           const DataParallel* parallel);

}  // namespace peakmem
