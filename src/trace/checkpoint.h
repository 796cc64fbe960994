// torch.utils.checkpoint: keep a layer's input only, run the layer again when its backward comes.
#pragma once

#include <functional>

#include "trace/tape.h"

namespace peakmem {

/// Which of PyTorch's two implementations runs.
enum class Checkpointing : uint8_t { kNone, kFull, kFullReentrant };

/// How a call is checkpointed beside that (kFull alone): whether its second run stops once nothing more is needed
/// (early_stop), and what its first run keeps of what ops make (create_selective_checkpoint_contexts; see
/// Frame::keeps).
struct CheckpointPolicy {
  bool stops_early = true;
  bool (*keeps)(std::string_view made_by, int64_t& counted) = nullptr;
};

/// A layer as a function of its hidden states and, where the model passes it by position, the mask; what else it needs
/// (keyword arguments) it must hold by itself, for it may run again later.
using LayerFunction = std::function<Tensor(const Tensor& hidden_states, const Tensor& mask)>;

/// The same of a decoder's layer that is told, by position too, what the encoder made.
using CrossLayerFunction =
    std::function<Tensor(const Tensor& hidden_states, const Tensor& mask, const Tensor& encoder_hidden_states)>;

/// Call the layer, checkpointed as asked.
///
/// kFull (use_reentrant=False): every tensor saved inside becomes a slot; the first one asked for runs the layer again,
/// and the run stops after the last slot is filled. kFullReentrant: the layer runs without a graph; its node's backward
/// runs it again as a whole and a backward pass through it.
///
/// Which of both holds what: the second one's positional tensors go when its backward has run, its keyword arguments
/// stay as long as the graph.
Tensor checkpoint(Checkpointing mode, const LayerFunction& layer, const Tensor& hidden_states,
                  const Tensor& mask = Tensor(), const CheckpointPolicy& policy = {});
Tensor checkpoint(Checkpointing mode, const CrossLayerFunction& layer, const Tensor& hidden_states, const Tensor& mask,
                  const Tensor& encoder_hidden_states);

}  // namespace peakmem
