#include "trace/shape_store.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

const Shape kTensor = {2, 5, 12};

/// Equal ones are the same object, so that two shapes can be compared by asking a store for both.
void expect_same(ShapeStore& store, const KeptShape& kept, const Shape& shape) { EXPECT_EQ(&kept, &store.keep(shape)); }

TEST(ShapeStore, KeepsEqualShapesOnce) {
  ShapeStore store;
  const KeptShape& first = store.keep(kTensor);
  EXPECT_EQ(&store.keep(Shape{2, 5, 12}), &first);
  EXPECT_EQ(first.elements().number(), 120);
  EXPECT_NE(&store.keep(Shape{2, 5, 12, 1}), &first);
  EXPECT_NE(&store.keep(preserved(transposed(Shape{5, 2, 12}, 0, 1))), &first);  // as large, another order in memory
}

TEST(ShapeStore, ShapesStayWhereTheyAre) {
  ShapeStore store;
  std::vector<const KeptShape*> kept;
  for (int64_t n = 1; n <= 1000; ++n) kept.push_back(&store.keep(Shape{n, 3}));
  for (int64_t n = 1; n <= 1000; ++n) {
    EXPECT_EQ(kept[static_cast<size_t>(n - 1)], &store.keep(Shape{n, 3}));
    EXPECT_EQ(kept[static_cast<size_t>(n - 1)]->elements().number(), 3 * n);
  }
}

TEST(ShapeStore, TellsFormulasApart) {
  Pool pool;
  ShapeStore store;
  const Expr b = pool.symbol("B");
  const Expr t = pool.symbol("T");
  EXPECT_EQ(&store.keep(Shape{b, t}), &store.keep(Shape{b, t}));
  EXPECT_NE(&store.keep(Shape{b, t}), &store.keep(Shape{t, b}));
  EXPECT_NE(&store.keep(Shape{b, t}), &store.keep(Shape{b.node(), t.node()}));
}

// Each step is asked for twice, for it is remembered; and with other arguments, which make another one.
TEST(ShapeStore, AKeptShapeBecomesWhatAShapeWould) {
  ShapeStore store;
  const KeptShape& kept = store.keep(kTensor);
  const KeptShape& wide = store.keep(Shape{2, 5, 1});
  for (int time = 0; time < 2; ++time) {
    const KeptShape& turned = transposed(kept, 0, 1);
    expect_same(store, turned, transposed(kTensor, 0, 1));
    expect_same(store, transposed(kept, -1, 1), transposed(kTensor, -1, 1));
    expect_same(store, contiguous(turned), contiguous(transposed(kTensor, 0, 1)));
    expect_same(store, preserved(turned), preserved(transposed(kTensor, 0, 1)));
    expect_same(store, unsqueezed(kept, 1), unsqueezed(kTensor, 1));
    expect_same(store, unsqueezed(kept, -1), unsqueezed(kTensor, -1));
    for (const int64_t length : {3, 4}) {
      const Shape part = narrowed(kTensor, -1, length);
      expect_same(store, narrowed(kept, -1, length), part);
      expect_same(store, preserved(narrowed(kept, -1, length)), preserved(part));
      expect_same(store, split(kept, 2, length, 12 / length), split(kTensor, 2, length, 12 / length));
    }
    expect_same(store, merged(kept, 0, 2), merged(kTensor, 0, 2));
    expect_same(store, merged(kept, 1, 2), merged(kTensor, 1, 2));
    expect_same(store, reduced_last(kept), reduced_last(kTensor));
    expect_same(store, expanded(wide, kept), expanded(Shape{2, 5, 1}, kTensor));
    expect_same(store, broadcast(kept, wide), broadcast(kTensor, Shape{2, 5, 1}));
    expect_same(store, broadcast(wide, turned), broadcast(Shape{2, 5, 1}, transposed(kTensor, 0, 1)));
    expect_same(store, broadcast(kept, kept), kTensor);
    expect_same(store, product(kept, store.keep(Shape{12, 7})), product(kTensor, Shape{12, 7}));
  }
}

TEST(ShapeStore, AKeptShapeKnowsHowItLies) {
  ShapeStore store;
  const KeptShape& kept = store.keep(kTensor);
  EXPECT_TRUE(is_contiguous(kept) && is_dense(kept));
  const KeptShape& turned = transposed(kept, 0, 1);
  EXPECT_TRUE(!is_contiguous(turned) && is_dense(turned));
  EXPECT_FALSE(is_dense(narrowed(kept, -1, 3)));
  EXPECT_TRUE(same_sizes(turned, contiguous(turned)));
  EXPECT_FALSE(same_sizes(turned, kept));
}

}  // namespace
}  // namespace peakmem
