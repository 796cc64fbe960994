// Fused kernels that a user can put in place of transformers' own code, and for which families they exist.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace peakmem {

enum class Activation : uint8_t;

/// Whose code a module runs: transformers', or one fused kernel (Liger's, or that of fms-acceleration's foak plug-in).
enum class Kernel : uint8_t { kHf, kFused, kFoak };

/// Which code makes a language model's loss: transformers', Liger's together with the head, TRL's in tiles, the foak
/// plug-in's on whole logits, the training loop's own cross_entropy, or Cut Cross-Entropy's together with the head.
enum class LossKernel : uint8_t { kHf, kFusedLinear, kChunked, kFoak, kPlain, kCut };

/// Whether the loss is made from hidden states, without logits.
constexpr bool makes_no_logits(LossKernel loss) {
  return loss == LossKernel::kFusedLinear || loss == LossKernel::kChunked || loss == LossKernel::kCut;
}

/// A choice of kernels.
struct Kernels {
  Kernel norm = Kernel::kHf;
  Kernel mlp = Kernel::kHf;
  Kernel rope = Kernel::kHf;
  LossKernel loss = LossKernel::kHf;
  bool operator==(const Kernels&) const = default;
};

constexpr int64_t kFoakVocabulary = 65536;  // up to which foak's loss sums a row at once (MAX_FUSED_SIZE)
constexpr int64_t kTokenTile = 4096;        // TOKEN_CHUNK_SIZE of TRL 1.16, kernels/chunked_logprob.py
constexpr int64_t kVocabularyTile = 32768;  // _CHUNKED_LOGPROB_CHUNK_SIZE, trainer/utils.py

/// In how many pieces the loops of fused losses are traced: three stand for more, all between the first and the last
/// being alike.
struct LossPieces {
  int64_t chunks = 1;       // of rows, of Liger's loss
  int64_t token_tiles = 1;  // of TRL's
  int64_t vocabulary_tiles = 1;
  auto operator<=>(const LossPieces&) const = default;
};

/// What there is for a family.
struct FamilyKernels {
  std::string_view family;
  bool flash2 = false;                   // attn_implementation="flash_attention_2"
  bool liger = false;                    // norm and rotary embedding
  bool norm_in_place = false;            // of Liger's norm: the gradient is written over the incoming one
  std::optional<Activation> activation;  // the one that Liger's MLP computes; none where it has no MLP that is modelled
  bool fused_linear = true;              // where Liger is: its loss together with the head
};

/// Whether axolotl's fork of Cut Cross-Entropy has that family's own patch, for a head without bias and scale.
bool has_cut_loss(std::string_view family);

/// A row for every family; one without kernels for a name that is none.
const FamilyKernels& kernels_of(std::string_view family);

}  // namespace peakmem
