#include "layout/zero_layout.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

/// One group of tensors of these sizes over so many ranks.
ZeroGroup group_of(const std::vector<int64_t>& sizes, int64_t ranks, bool round_robin = false) {
  Tape tape;
  tape.begin_phase(0, -1, "model");
  for (const int64_t size : sizes) tape.parameter({size, 1}, DType::kBFloat16, "weight");
  Zero zero;
  zero.ranks = ranks;
  zero.round_robin = round_robin;
  return zero_groups(tape, zero).at(0);
}

TEST(ZeroLayout, NormsAndBiasesAreNotDecayed) {
  EXPECT_TRUE(is_decayed("model.layers.*.self_attn.q_proj.weight", 2));
  EXPECT_TRUE(is_decayed("model.embed_tokens.weight", 2));
  EXPECT_FALSE(is_decayed("model.layers.*.self_attn.q_proj.bias", 1));
  EXPECT_FALSE(is_decayed("model.layers.*.input_layernorm.weight", 1));
  EXPECT_FALSE(is_decayed("model.norm.weight", 1));
  EXPECT_FALSE(is_decayed("model.layers.*.self_attn.q_norm.weight", 1));
  EXPECT_FALSE(is_decayed("bert.embeddings.LayerNorm.weight", 1));
  EXPECT_FALSE(is_decayed("transformer.h.*.ln_1.weight", 1));  // by its class
  EXPECT_FALSE(is_decayed("encoder.block.*.relative_attention_bias.weight", 2));
  EXPECT_TRUE(is_decayed("model.normal.weight", 2));
}

TEST(ZeroLayout, AGroupIsPaddedToTwiceTheRanks) {
  EXPECT_EQ(group_of({10, 7}, 4).flat, 24);
  EXPECT_EQ(group_of({10, 7}, 4).part, 6);
  EXPECT_EQ(group_of({16}, 4).flat, 16);
  EXPECT_EQ(group_of({1}, 1).flat, 2);
}

TEST(ZeroLayout, RoundRobinDealsParametersOut) {
  std::vector<size_t> order;
  for (const ZeroMember& member : group_of({1, 2, 3, 4, 5, 6, 7}, 3, true).members) order.push_back(member.parameter);
  EXPECT_EQ(order, (std::vector<size_t>{0, 3, 6, 1, 4, 2, 5}));
}

TEST(ZeroLayout, ARankTouchesWholeParameters) {
  const ZeroGroup group = group_of({10, 7, 3, 90}, 4);
  EXPECT_EQ(touched_by_rank({group}, 4), (std::vector<int64_t>{110, 90, 90, 90}));
}

TEST(ZeroLayout, SlicesAreWhatTheRanksHave) {
  const ZeroGroup group = group_of({10, 7, 3, 90}, 4);
  std::vector<int64_t> held(4);
  for (const ZeroMember& member : group.members) {
    int64_t elements = 0;
    for (const ZeroSlice& slice : slices(group, member)) {
      EXPECT_EQ(slice.elements, elements_of(group, member, slice.rank));
      held[static_cast<size_t>(slice.rank)] += slice.elements;
      elements += slice.elements;
    }
    EXPECT_EQ(elements, member.elements);
  }
  EXPECT_EQ(held, (std::vector<int64_t>{28, 28, 28, 26}));
}

}  // namespace
}  // namespace peakmem
