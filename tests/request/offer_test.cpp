#include "request/offer.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

bool offers(const char* name, const OptionValues& values, std::string_view change) {
  const NamedConfig model = *shipped_config(name);
  const Result<Request> request = make_request(&model, values, Command::kEstimate);
  EXPECT_TRUE(request);
  return request && can_be_asked(&model, values, *request, change);
}

TEST(Offer, IsWhatTheChecksLetPass) {
  EXPECT_TRUE(offers("gpt2", {}, "--checkpointing full"));
  EXPECT_TRUE(offers("gpt2", {{"optimizer-impl", "fused"}}, "--optimizer adafactor"));
  EXPECT_FALSE(offers("gpt2", {{"optimizer", "rmsprop"}}, "--optimizer-impl fused"));
  EXPECT_FALSE(offers("gpt2", {}, "--optimizer nonesuch"));
}

TEST(Offer, IsNoBf16ToACardWithoutIt) {
  EXPECT_TRUE(offers("gpt2", {{"gpu", "a100-80gb"}}, "--precision bf16-mixed"));
  EXPECT_FALSE(offers("gpt2", {{"gpu", "t4"}}, "--precision bf16-mixed"));
}

TEST(Offer, MayBeInOtherWords) { EXPECT_TRUE(offers("gpt2", {}, "half the batch, --accumulate twice")); }

}  // namespace
}  // namespace peakmem
