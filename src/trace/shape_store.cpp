#include "trace/shape_store.h"

namespace peakmem {
namespace {

/// Sizes and one stride nearly tell shapes apart; a formula's place in its pool does for its hash.
uint64_t hash_of(const Shape& shape) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  auto hash = static_cast<uint64_t>(shape.rank) + static_cast<uint64_t>(shape.stride[0].number());
  for (size_t i = 0; i < static_cast<size_t>(shape.rank); ++i)
    hash = hash * kOdd + static_cast<uint64_t>(shape.size[i].number());
  hash *= kOdd;
  return hash ^ (hash >> 32);
}

bool same(const Shape& a, const Shape& b) {
  if (a.rank != b.rank) return false;
  for (size_t i = 0; i < static_cast<size_t>(a.rank); ++i)
    if (!identical(a.size[i], b.size[i]) || !identical(a.stride[i], b.stride[i]) || a.order[i] != b.order[i])
      return false;
  return true;
}

}  // namespace

const KeptShape* ShapeStore::keep(const Shape& shape) {
  const uint64_t hash = hash_of(shape);
  const int32_t found = index_.find(hash, [&](int32_t i) { return same(kept_[static_cast<size_t>(i)]->shape, shape); });
  if (found >= 0) return kept_[static_cast<size_t>(found)];
  KeptShape* made = shapes_.make();
  *made = {shape, shape.elements()};
  kept_.push_back(made);
  index_.insert(static_cast<int32_t>(kept_.size() - 1),
                [this](int32_t i) { return hash_of(kept_[static_cast<size_t>(i)]->shape); });
  return made;
}

}  // namespace peakmem
