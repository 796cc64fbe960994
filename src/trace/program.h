// What a traced training step does to memory: allocations and releases in order, with sizes that may be formulas.
//
// Layers repeat, so of a repeat the first turn is traced, one for all between, and the last:
//
//     level │            ╱╲                  one turn changes the level by the same amount every time, so the
//           │        ╱╲╱    ╲╱╲              maximum over all turns lies in the first or in the last of them
//           │    ╱╲╱            ╲╱╲
//           └── first ─ n between ─ last ──  a Segment is the events of one turn and how often it runs
//
// Nothing here knows sizes: evaluate.h puts numbers in.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "size/dtype.h"
#include "size/expr.h"
#include "trace/work.h"

namespace peakmem {

/// What a byte is for; the ledger's first column.
enum class Category : uint8_t {
  kWeights,
  kGradients,
  kOptimizer,
  kActivations,
  kTemporaries,
  kInputs,
  kBuffers,
  kWorkspace,  // of a kernel while it runs: the allocator's, but no tensor's
};

/// Their names, by category.
inline constexpr std::array<std::string_view, 8> kCategoryNames = {
    "weights", "gradients", "optimizer", "activations", "temporaries", "inputs", "buffers", "workspace"};

/// The CUDA stream that an allocation is made for. The caching allocator gives what one stream has freed to no other.
enum class Stream : uint8_t {
  kMain,           // of the forward pass, and of the backward pass behind it
  kAllGather,      // FSDP2's, for what is sent and gathered
  kReduceScatter,  // FSDP2's, for what is left of gradients
  kAllReduce,      // HSDP's
  kPreUnshard,     // FSDP1's, for shards that are cast first; of a second model under FSDP2, for what it gathers
};
inline constexpr size_t kStreams = 5;
/// Their names, by stream.
inline constexpr std::array<std::string_view, kStreams> kStreamNames = {"main", "all-gather", "reduce-scatter",
                                                                        "all-reduce", "pre-unshard"};

/// One allocation of the trace: its bytes, the op that made it and the op whose backward keeps it.
struct Storage {
  Expr bytes;
  const char* made_by = "";        // aten's name of the op
  const char* saved_by = nullptr;  // the first op that saved it for its backward, if any did
  int32_t scope = 0;               // the module it was made in, see Program::scopes
  int32_t turn = 0;                // the turn it was made in, see Program::turns
  int32_t references = 0;          // while tracing
  Category category = Category::kTemporaries;
  DType dtype = DType::kFloat32;
  Stream stream = Stream::kMain;
  bool on_host =
      false;  // though PyTorch's shape function says it is on the device: a tensor's, but not the allocator's
  bool is_output = false;  // of the model, and named by the loop until its next forward pass is over
};

/// One allocation (birth) or release of a storage. `once`: of what step 1 does and no later one, see
/// Tape::cast_for_good.
struct Event {
  int32_t storage;
  bool birth;
  bool once = false;
};

/// Events [first, last) that run as often in a row as their turn says; several segments may be of the same events.
struct Segment {
  int32_t first;
  int32_t last;
  int32_t turn;
};

/// A turn of a repeat: which repeat (0: none), how many turns it stands for, and the first layer it has.
struct Turn {
  int32_t repeat = 0;
  Expr count = 1;
  int64_t layer = 0;
};

/// A module's place in the model: "attn" in "model.layers.*".
struct ScopeName {
  int32_t parent;
  const char* name;
};

/// A parameter of the model, trained or not; `layer` is the number that the `*` of its path stands for.
struct Weight {
  int32_t scope = 0;
  int32_t turn = 0;
  int64_t layer = 0;
  bool trained = true;
};

/// A stretch of the step with a name of its own; step 2 runs the segments of step 1 again where nothing differs.
struct Phase {
  int32_t step;
  int32_t micro;  // micro-batch within the step, -1 for what happens once a step
  const char* name;
  int32_t first_segment;
  int32_t last_segment;
  bool empties_cache = false;  // ends with torch.cuda.empty_cache()
};

/// The whole trace.
struct Program {
  std::vector<Storage> storages;
  std::vector<Event> events;
  std::vector<Segment> segments;
  std::vector<Turn> turns = {Turn{}};
  std::vector<ScopeName> scopes = {{-1, ""}};
  std::vector<Phase> phases;
  std::vector<Weight> weights;  // in the order they were made
  std::vector<Work> works;      // of the ops that multiply
  Expr trained_parameters = 0;  // elements of those that gather gradients
  Expr parameters = 0;          // elements of all of the model's, however many of them this rank holds
  Expr managed = 0;             // bytes of managed memory (cudaMallocManaged), which are no storage's

  /// The innermost module that both scopes are in.
  int32_t common(int32_t a, int32_t b) const;
  /// "model.layers.*.mlp" of a scope; empty for the root.
  std::string path(int32_t scope) const;
  /// "model.layers.3.mlp" of the same in layer 3.
  std::string name(int32_t scope, int64_t layer) const;
  /// Where a storage was made: "model.layers.3.mlp", or "model.layers.*.mlp" where its turn stands for several. Of a
  /// trace that unrolls its layers every turn has one.
  std::string place(const Storage& storage) const;
};

}  // namespace peakmem
