// Training on pairs of which one sequence is preferred: the model that is trained beside one that is not.
#pragma once

#include <memory>
#include <optional>

#include "layout/data_parallel.h"
#include "layout/fully_shard.h"
#include "model/model.h"
#include "recipe/job.h"

namespace peakmem {

/// What a policy is compared with: a second model of the same weights, the policy without its adapters, or nothing that
/// runs in a step. TRL loads a second model as the first one (create_model_from_path), leaves it in eval mode, and its
/// parameters as if they were to be trained, so that autocast keeps what it casts of them. Before the policy is wrapped
/// it is on the device (1.16, models/utils.py): whole under ZeRO 1 and 2 (prepare_deepspeed: an engine of stage 0),
/// under FSDP2 as one unit, in the dtype that it was loaded in (prepare_fsdp: fully_shard of the model alone).
class ReferenceModel {
 public:
  /// The policy is built and not wrapped yet. `structure` is the policy's, which it changes while it runs without
  /// adapters or checkpoints.
  ReferenceModel(const Builder& policy, Structure& structure, const Job& job);
  ReferenceModel(const ReferenceModel&) = delete;  // its builder looks at its own structure
  ReferenceModel& operator=(const ReferenceModel&) = delete;

  /// Runs it, or the policy without adapters, without a graph.
  ModelOutput run(Model& policy, const Batch& batch, const Recipe& recipe);
  /// Runs the policy as it is, without a graph, where a checkpoint does nothing.
  ModelOutput run_policy(Model& policy, const Batch& batch, const Recipe& recipe);

 private:
  void load();
  void build();

  Builder builder_;
  Structure& policy_structure_;
  Recipe recipe_;  // of a second model
  Structure structure_;
  Reference kind_;
  std::optional<FullyShard> sharded_;
  OuterUnits outer_;
  std::vector<Parameter> parameters_;
  std::unique_ptr<Model> model_;
};

/// What TRL's preference trainers make of a job: a pair has two sequences, and modules of dropout drop nothing
/// (disable_dropout; functions with a probability of their own still do).
void settle_preference(Job& job);

/// The policy's outputs. What DDP passes on is copied where it looks for unused parameters (_DDPSink), also what a
/// fused head gives. `parallel` may be null.
ModelOutput called_policy(Tape& tape, Model& policy, const Batch& batch, const Recipe& recipe,
                          const DataParallel* parallel);

/// compute_loss of TRL 1.16's DPOTrainer, KTOTrainer (with their default losses), RewardTrainer, or of those that know
/// no reference. `parallel` may be null.
Tensor preference_loss(Tape& tape, Model& policy, ReferenceModel& reference, const Batch& batch, const Recipe& recipe,
                       const DataParallel* parallel);

}  // namespace peakmem
