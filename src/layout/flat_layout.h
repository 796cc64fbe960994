// How FSDP1 lays a unit's parameters behind each other and cuts them (torch 2.13, distributed/fsdp/_flat_param.py,
// _init_flat_param_and_metadata and _get_shard_metadata):
//
//     | weight | pad | weight | pad | bias | pad |
//     '---- rank 0 ----'---- rank 1 ----'- ... --'
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace peakmem {

/// What of a parameter lies in a rank's shard.
struct FlatPiece {
  size_t parameter;
  int64_t elements;
  bool operator==(const FlatPiece&) const = default;
};

/// A unit's flat parameter. Sizes are elements.
struct FlatLayout {
  int64_t elements = 0;           // of all, with what is put between them
  int64_t shard = 0;              // of each rank; that of the last ones may hold less
  int64_t own = 0;                // what of it this rank's holds
  std::vector<int64_t> paddings;  // that are tensors of their own while it is made
  std::vector<FlatPiece> pieces;  // of this rank's shard, in order
};

/// The layout of parameters of these sizes as `rank` of `ranks` has it. Each begins at a multiple of `aligned` and the
/// whole is a multiple of the ranks; with 0 neither.
FlatLayout lay_flat(std::span<const int64_t> sizes, int64_t aligned, int64_t ranks, int64_t rank);

}  // namespace peakmem
