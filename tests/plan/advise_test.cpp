#include "plan/advise.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "estimate/estimate.h"

namespace peakmem {
namespace {

/// A command line's words behind the model, as options.
OptionValues options_of(const std::string& command, const std::string& model) {
  OptionValues values;
  std::vector<std::string> words;
  for (size_t begin = command.find(model) + model.size(); begin < command.size();) {
    const size_t end = std::min(command.find(' ', begin), command.size());
    if (end > begin) words.push_back(command.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string& word : words) {
    if (word.starts_with("--"))
      values.push_back({word.substr(2), ""});
    else
      values.back().text = word;
  }
  return values;
}

/// Holds a suggestion to what estimate() says of its command.
void expect_command(const NamedConfig& model, const Suggestion& suggestion) {
  SCOPED_TRACE(suggestion.command);
  const OptionValues values = options_of(suggestion.command, model.name);
  const Result<Request> request = make_request(&model, values, Command::kEstimate);
  ASSERT_TRUE(request) << request.error().problem;
  const Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->fits->fits, suggestion.verdict.fits);
  EXPECT_EQ(report->device.likely, suggestion.device.likely);
}

const std::vector<std::pair<const char*, OptionValues>>& requests() {
  static const std::vector<std::pair<const char*, OptionValues>> requests = {
      {"gpt2", {{"gpu", "3GiB"}, {"batch", "4"}, {"seq", "256"}}},
      {"llama-3.2-1b", {{"gpu", "9GiB"}, {"batch", "2"}, {"seq", "512"}, {"layers", "4"}}},
      {"gpt2-xl", {{"gpu", "t4"}, {"batch", "2"}, {"optimizer", "adam"}, {"alloc-conf", "expandable_segments:True"}}},
      {"qwen2.5-0.5b", {{"gpu", "3GiB"}, {"batch", "2"}, {"fsdp", "2"}, {"seq", "256"}}},
      {"bert-base-uncased", {{"gpu", "3GiB"}, {"batch", "16"}, {"seq", "128"}}}};
  return requests;
}

TEST(Advise, EverySuggestionFitsByTheEstimateOfItsCommand) {
  for (const auto& [name, values] : requests()) {
    SCOPED_TRACE(name);
    const NamedConfig model = *shipped_config(name);
    const Result<Advice> advice = advise(&model, values, {.suggestions = 6, .tries = 1000});
    ASSERT_TRUE(advice);
    EXPECT_FALSE(advice->report.fits->fits);
    EXPECT_FALSE(advice->suggestions.empty());
    int weight = 0;
    for (const Suggestion& suggestion : advice->suggestions) {
      EXPECT_TRUE(suggestion.verdict.fits);
      EXPECT_GE(suggestion.weight, weight);
      weight = suggestion.weight;
      expect_command(model, suggestion);
    }
  }
}

TEST(Advise, NoneOfTheChangesCouldBeLeftOut) {
  const NamedConfig model = *shipped_config("gpt2");
  const OptionValues values = requests()[0].second;
  const Result<Advice> advice = advise(&model, values);
  ASSERT_TRUE(advice);
  for (const Suggestion& suggestion : advice->suggestions)
    for (size_t left_out = 0; left_out < suggestion.changes.size(); ++left_out) {
      OptionValues fewer = values;
      for (size_t i = 0; i < suggestion.changes.size(); ++i)
        if (i != left_out) fewer = changed_options(std::move(fewer), suggestion.changes[i]);
      const Result<Request> request = make_request(&model, fewer, Command::kEstimate);
      if (!request) continue;  // a change that another needs
      const Result<Report> report = estimate(request->job, request->gpu, request->allocator, 0);
      ASSERT_TRUE(report);
      EXPECT_FALSE(report->fits->fits) << suggestion.command << " without " << suggestion.changes[left_out].flags;
    }
}

TEST(Advise, AnEightBOnACardOf24GBIsOfferedWhatPeopleDo) {
  const NamedConfig model = *shipped_config("llama-3.1-8b");
  const Result<Advice> advice = advise(&model, {{"gpu", "rtx-4090"}, {"batch", "2"}, {"seq", "512"}});
  ASSERT_TRUE(advice);
  std::string flags;
  for (const Suggestion& suggestion : advice->suggestions)
    for (const Change& change : suggestion.changes) flags += change.flags + "\n";
  for (const char* offered : {"--quantize nf4", "--lora-targets all-linear\n", "--fsdp", "--gpu"})
    EXPECT_NE(flags.find(offered), std::string::npos) << offered;
}

TEST(Advise, SaysAboutHowMuchSlowerEachIs) {
  const NamedConfig model = *shipped_config("gpt2");
  const Result<Advice> advice = advise(&model, {{"gpu", "t4:-13GiB"}, {"batch", "4"}, {"seq", "256"}}, {4, 300});
  ASSERT_TRUE(advice);
  int compared = 0;
  for (const Suggestion& suggestion : advice->suggestions) {
    SCOPED_TRACE(suggestion.command);
    if (suggestion.changes[0].group == "card") continue;  // another one, whose rates may not be known
    ASSERT_TRUE(suggestion.slowdown);
    const bool again = suggestion.command.find("--checkpointing full") != std::string::npos;
    EXPECT_GT(*suggestion.slowdown, again && suggestion.changes.size() == 1 ? 1.1 : 0.05);
    EXPECT_LT(*suggestion.slowdown, 10);
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(Advise, TheOptimizerGoesToTheHostWhereThatIsEnough) {
  const NamedConfig model = *shipped_config("qwen2.5-0.5b");
  const OptionValues values = {
      {"gpu", "4500MiB"}, {"batch", "1"}, {"seq", "128"}, {"precision", "bf16-mixed"}, {"trainer", "hf"}};
  const Result<Advice> advice = advise(&model, values, {8, 1500});
  ASSERT_TRUE(advice);
  std::string flags;
  for (const Suggestion& suggestion : advice->suggestions) {
    expect_command(model, suggestion);
    for (const Change& change : suggestion.changes) flags += change.flags + "\n";
  }
  EXPECT_NE(flags.find("--offload-optimizer pinned"), std::string::npos) << flags;
}

TEST(Advise, ChangesThatSetTheSameContradict) {
  const Change zero = {"ranks", "--zero 3 --ranks 2 --precision bf16-mixed", Cost::kCards, 1, ""};
  EXPECT_TRUE(contradict(zero, {"precision", "--precision bf16", Cost::kQuality, 1, ""}));
  EXPECT_TRUE(contradict(zero, {"ranks", "--fsdp 2", Cost::kCards, 1, ""}));
  EXPECT_FALSE(contradict(zero, {"checkpointing", "--checkpointing full", Cost::kTime, 1, ""}));
}

TEST(Advise, IsNeverEmpty) {
  const NamedConfig model = *shipped_config("llama-3.1-8b");
  const OptionValues values = {{"gpu", "2GiB"}, {"batch", "2"}, {"seq", "256"}, {"reserved", "bounds"}};
  const Result<Advice> advice = advise(&model, values);
  ASSERT_TRUE(advice);
  ASSERT_TRUE(advice->nearest || !advice->suggestions.empty());
  if (advice->nearest) {
    EXPECT_FALSE(advice->nearest->verdict.fits);
    EXPECT_LT(advice->nearest->device.likely, advice->report.device.likely);
    expect_command(model, *advice->nearest);
  }
}

TEST(Advise, SaysNothingWhereItFits) {
  const NamedConfig model = *shipped_config("gpt2");
  const Result<Advice> advice = advise(&model, {{"gpu", "a100-80gb"}, {"batch", "2"}});
  ASSERT_TRUE(advice);
  EXPECT_TRUE(advice->suggestions.empty());
  EXPECT_EQ(advice->tried, 0);
}

}  // namespace
}  // namespace peakmem
