#include "launch/own.h"

#include <gtest/gtest.h>

#include "launch/launch.h"
#include "request/named_config.h"

namespace peakmem {
namespace {

Result<Launch> read(const std::string& text, OptionValues beside = {}) {
  return read_launch({{{"run.yaml", text}}, "", std::move(beside), std::nullopt}, shipped_config, nullptr);
}

TEST(Own, IsReadAsItWasWritten) {
  const OptionValues options = {{"batch", "4"},    {"seq", "4k"},           {"use-cache", "no"},
                                {"clip-grad", ""}, {"precision", "bf16"},   {"headroom", "10%"},
                                {"hsdp", "2x4"},   {"lora-dropout", "0.05"}};
  const Result<Launch> launch = read(own_text("gpt2", options));
  ASSERT_TRUE(launch) << launch.error().problem;
  EXPECT_EQ(launch->model.name, "gpt2");
  ASSERT_EQ(launch->options.size(), options.size());
  for (size_t i = 0; i < options.size(); ++i) {
    EXPECT_EQ(launch->options[i].name, options[i].name);
    EXPECT_EQ(launch->options[i].text, options[i].text.empty() ? "true" : options[i].text);
  }
}

TEST(Own, AnOptionBesideStandsInItsPlace) {
  const Result<Launch> launch = read("peakmem: 1\nmodel: gpt2\nbatch: 4\n", {{"batch", "8"}});
  ASSERT_TRUE(launch);
  EXPECT_EQ(*Options(launch->options).text("batch"), "8");
}

TEST(Own, RefusesWhatIsNoOption) {
  const Result<Launch> launch = read("peakmem: 1\nmodel: gpt2\nbacth: 4\n");
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().field, "run.yaml: bacth");
  EXPECT_EQ(launch.error().hint, "did you mean batch?");
}

}  // namespace
}  // namespace peakmem
