#include "request/words.h"

#include <gtest/gtest.h>

#include "recipe/optimizers.h"
#include "request/option_checks.h"

namespace peakmem {
namespace {

TEST(Words, OfTransformersAreTaken) {
  const OptionValues values =
      in_our_words({{"optimizer", "adamw_torch_fused"}, {"precision", "bfloat16"}, {"attention", "flash_attention_2"}});
  EXPECT_EQ(*Options(values).text("optimizer"), "adamw");
  EXPECT_EQ(*Options(values).text("optimizer-impl"), "fused");
  EXPECT_EQ(*Options(values).text("precision"), "bf16");
  EXPECT_EQ(*Options(values).text("attention"), "flash2");
  EXPECT_FALSE(check_options(values, Command::kEstimate));
}

TEST(Words, OursStayAsTheyAre) {
  const OptionValues values = in_our_words({{"optimizer", "adafactor"}, {"optimizer-impl", "loop"}});
  EXPECT_EQ(values[0].text, "adafactor");
  const OptionValues how = in_our_words({{"optimizer-impl", "foreach"}, {"optimizer", "adamw_torch_fused"}});
  EXPECT_EQ(*Options(how).text("optimizer-impl"), "foreach");
}

TEST(Words, NameOptimizersThatAreKnown) {
  for (const OptimizerWord& word : optimizer_words()) EXPECT_NE(find_optimizer(word.optimizer), nullptr) << word.name;
}

TEST(Words, SizesMayBeGrouped) {
  EXPECT_EQ(*parse_size("1,024", "--seq"), 1024);
  EXPECT_EQ(*parse_size("1,234,567", "--seq"), 1'234'567);
  EXPECT_EQ(*parse_size("4k", "--seq"), 4096);
  EXPECT_EQ(*parse_size("128K", "--seq"), 131'072);
  for (const char* text : {"1,02", ",024", "1024,", "12,34,567", "1,0245", "k", "1,024k", "9000000000000000000k"})
    EXPECT_FALSE(parse_size(text, "--seq")) << text;
  EXPECT_FALSE(parse_size("4k", "--vocab"));
}

TEST(Words, OfOthersAreHinted) {
  EXPECT_NE(hint_for_option("batch_size").find("--batch"), std::string_view::npos);
  EXPECT_NE(hint_for_option("tensor-model-parallel-size").find("--tp"), std::string_view::npos);
  EXPECT_EQ(hint_for_option("nothing-known"), "");
}

}  // namespace
}  // namespace peakmem
