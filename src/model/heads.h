// What stands on top of the layers: losses and classification heads (transformers 5.23, loss_utils.py,
// modeling_layers.py).
#pragma once

#include <array>

#include "model/modules.h"

namespace peakmem {

/// What the data loader hands over: input_ids, pixel_values [images, channels, height, width] in fp32, or both, and
/// labels.
struct Batch {
  Tensor input_ids;
  Tensor pixel_values;
  Tensor input_features;  // of a sound: [B, mel bins, two frames for each of the sequence], in the weights' dtype
  Tensor labels;
  Tensor grids;                  // of images of any size: frames, rows and columns of each one's patches
  Tensor token_types;            // as input_ids: which are an image's
  Tensor attention_mask;         // as input_ids, all ones; of trainers that pass one
  bool is_counted = false;       // the loss is divided by the number of labels, not their mean
  Tensor items;                  // that number, where it is on the device
  Tensor completion_mask;        // of preferences, as input_ids: which tokens count
  std::array<Tensor, 2> scores;  // what a reference gave for the chosen and the rejected, or for these and `mismatched`
  std::array<Tensor, 3> mismatched;            // tokens of rated sequences, and their two masks
  Tensor ratings;                              // whether each sequence is a good one
  std::array<Tensor, 2> prompts;               // tokens and mask of the prompts by themselves, [B, T - completion]
  std::array<std::array<Tensor, 3>, 2> sides;  // tokens, mask and labels of the chosen sequences, and of the rejected
  std::array<Tensor, 2> completions;           // tokens and mask of what follows the prompts
  Tensor advantages;                           // of GRPO, a number a completion
  Tensor sampled, old, scored;  // log-probabilities of the completions, a number a token: by the engine that made them,
                                // by the policy of before, by the reference
  Tensor ratio;                 // of old to sampled, a number a completion
  Tensor more_labels;  // the tokens answers end at beside those they start at; whether a second sentence follows
};

/// What a model's forward pass returns (transformers' ModelOutput).
struct ModelOutput {
  Tensor loss;
  Tensor logits;
  Tensor encoder_hidden_states;  // of an encoder-decoder
  std::vector<Tensor> others;    // past_key_values, or what a fused loss gives for every token, log-probabilities first
  bool lists_others = false;     // in a list, not in a Cache that nobody looks into
  Tensor more_logits;            // of answers' ends beside their starts; of whether a second sentence follows
};

/// Labels of a model of tokens are [B, T], of an encoder-decoder [B, U], of a classifier [B] or, with several a
/// sequence, [B, labels] in float.
Batch make_batch(const Builder& b);

/// Sizes of the labels of so many sequences.
Shape label_shape(const Builder& b, Expr rows);

/// fixed_cross_entropy: the mean over labels, or the sum over how many a trainer counted.
Tensor cross_entropy_of(const Tensor& logits, const Tensor& labels, const Batch& batch);

/// ForCausalLMLoss: logits in fp32, labels shifted by one.
Tensor causal_lm_loss(const Builder& b, const Tensor& logits, const Batch& batch);

/// The same without logits: the head and the loss in one, by Liger's LigerForCausalLMLoss, TRL's add_fused_lm_head or
/// Cut Cross-Entropy.
ModelOutput fused_lm_loss(const Builder& b, const Tensor& hidden_states, const Tensor& head, const Batch& batch);

/// FastForCausalLMLoss and FastCrossEntropyLoss of the foak plug-in (fms-acceleration-foak 0.7.4, kernels/unsloth/
/// cross_entropy_loss.py) of logits [rows, classes]: a sum over rows, by how many labels there are; a trainer may have
/// counted them.
Tensor foak_loss(const Builder& b, const Tensor& logits, const Tensor& labels, bool is_counted);

/// torch.nn.CrossEntropyLoss over all tokens, logits as they are.
Tensor token_loss(const Tensor& logits, const Tensor& labels);

/// The mean of the losses of where answers start and end.
Tensor answer_loss(const Builder& b, const Tensor& starts, const Tensor& ends, const Batch& batch);

/// The logits at the last token that is not padding, and the loss on them.
ModelOutput last_token_output(const Builder& b, const Tensor& logits, const Tensor& input_ids, const Tensor& labels);

/// ForSequenceClassificationLoss: cross entropy over classes, one by one where a sequence may have several, or the
/// squared error.
Tensor label_loss(const Builder& b, const Tensor& logits, const Tensor& labels);

}  // namespace peakmem
