#include "trace/shape_store.h"

namespace peakmem {
namespace {

using Kind = ShapeStep::Kind;

/// Sizes and one stride nearly tell shapes apart.
uint64_t hash_of(const Shape& shape) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  auto hash = static_cast<uint64_t>(shape.rank) + shape.stride[0].key();
  for (size_t i = 0; i < static_cast<size_t>(shape.rank); ++i) hash = hash * kOdd + shape.size[i].key();
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

const Shape& plain(const KeptShape& shape) { return shape; }
uint64_t key(const KeptShape& shape) { return reinterpret_cast<uintptr_t>(&shape); }

}  // namespace

KeptShape::KeptShape(ShapeStore& store, const Shape& shape)
    : Shape(shape),
      store_(&store),
      elements_(shape.elements()),
      is_contiguous_(peakmem::is_contiguous(shape)),
      is_dense_(peakmem::is_dense(shape)) {}

const KeptShape& KeptShape::remember(const ShapeStep& step, const Shape& shape) const {
  const KeptShape& kept = store_->keep(shape);
  made_ = &store_->made_.emplace_back(Made{step, &kept, made_});
  return kept;
}

const KeptShape& ShapeStore::keep(const Shape& shape) {
  const auto at = [this](int32_t i) -> const KeptShape& { return shapes_[static_cast<size_t>(i)]; };
  const int32_t found = index_.find(hash_of(shape), [&](int32_t i) { return same(at(i), shape); });
  if (found >= 0) return at(found);
  const KeptShape& made = shapes_.emplace_back(*this, shape);
  index_.insert(static_cast<int32_t>(shapes_.size() - 1), [&](int32_t i) { return hash_of(at(i)); });
  return made;
}

const KeptShape& contiguous(const KeptShape& shape) {
  return shape.after(ShapeStep(Kind::kContiguous), [&] { return contiguous(plain(shape)); });
}
const KeptShape& preserved(const KeptShape& shape) {
  if (shape.is_dense()) return shape;  // NOLINT(bugprone-return-const-ref-from-parameter): a store's, no temporary
  return shape.after(ShapeStep(Kind::kPreserved), [&] { return preserved(plain(shape)); });
}
const KeptShape& transposed(const KeptShape& shape, int a, int b) {
  return shape.after(ShapeStep(Kind::kTransposed, a, b), [&] { return transposed(plain(shape), a, b); });
}
const KeptShape& unsqueezed(const KeptShape& shape, int dim) {
  return shape.after(ShapeStep(Kind::kUnsqueezed, dim), [&] { return unsqueezed(plain(shape), dim); });
}
const KeptShape& expanded(const KeptShape& shape, const KeptShape& sizes) {
  return shape.after(ShapeStep(Kind::kExpanded, 0, 0, key(sizes)),
                     [&] { return expanded(plain(shape), plain(sizes)); });
}
const KeptShape& narrowed(const KeptShape& shape, int dim, Expr length) {
  return shape.after(ShapeStep(Kind::kNarrowed, dim, 0, length.key()),
                     [&] { return narrowed(plain(shape), dim, length); });
}
const KeptShape& split(const KeptShape& shape, int dim, Expr outer, Expr inner) {
  return shape.after(ShapeStep(Kind::kSplit, dim, 0, outer.key(), inner.key()),
                     [&] { return split(plain(shape), dim, outer, inner); });
}
const KeptShape& merged(const KeptShape& shape, int first, int count) {
  return shape.after(ShapeStep(Kind::kMerged, first, count), [&] { return merged(plain(shape), first, count); });
}
const KeptShape& reduced_last(const KeptShape& shape) {
  return shape.after(ShapeStep(Kind::kReducedLast), [&] { return reduced_last(plain(shape)); });
}
const KeptShape& product(const KeptShape& left, const KeptShape& right) {
  return left.after(ShapeStep(Kind::kProduct, 0, 0, key(right)), [&] { return product(plain(left), plain(right)); });
}
const KeptShape& broadcast(const KeptShape& a, const KeptShape& b) {
  if (&a == &b && a.is_dense()) return a;  // NOLINT(bugprone-return-const-ref-from-parameter)
  return a.after(ShapeStep(Kind::kBroadcast, 0, 0, key(b)), [&] { return broadcast(plain(a), plain(b)); });
}

}  // namespace peakmem
