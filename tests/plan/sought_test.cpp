#include "plan/sought.h"

#include <gtest/gtest.h>

#include <random>

#include "estimate/estimate.h"
#include "plan/cards.h"
#include "plan/frontier.h"

namespace peakmem {
namespace {

/// A small model that says all its sizes, and options for it by chance.
struct Case {
  NamedConfig model;
  OptionValues values;
};

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  int64_t from(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }
  const char* of(std::initializer_list<const char*> words) {
    return *(words.begin() + from(0, static_cast<int64_t>(words.size()) - 1));
  }

 private:
  std::mt19937 random_;
};

Case random_request(uint32_t seed) {
  Dice dice(seed);
  Case request = {*shipped_config(dice.of({"gpt2", "llama-3.2-1b", "qwen2.5-0.5b", "bert-base-uncased"})), {}};
  request.values = {
      {"layers", std::to_string(dice.from(1, 6))},           {"batch", std::to_string(int64_t{1} << dice.from(0, 3))},
      {"seq", std::to_string(dice.from(16, 256))},           {"precision", dice.of({"fp32", "bf16", "bf16-mixed"})},
      {"checkpointing", dice.of({"none", "full"})},          {"optimizer", dice.of({"adamw", "sgd"})},
      {"gpu", std::to_string(dice.from(1200, 6000)) + "MiB"}};
  if (dice.from(0, 2) > 0) request.values.push_back({"reserved", "bounds"});
  return request;
}

void take(OptionValues& values, std::string_view name) {
  std::erase_if(values, [&](const OptionValue& value) { return value.name == name; });
}

/// Whether the estimate says that the request fits.
bool fits(const Result<Request>& request) {
  EXPECT_TRUE(request);
  if (!request) return false;
  const Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
  EXPECT_TRUE(report);
  return report && report->fits->fits;
}

TEST(Sought, EstimateSaysThatTheValueFitsAndTheNextDoesNot) {
  int solved = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Case request = random_request(seed);
    Dice dice(seed + 1000);
    const std::string name =
        dice.of({"batch", "seq", "layers", "hidden", "ffn", "vocab", "lora-rank", "fsdp", "gpus", "accumulate"});
    SCOPED_TRACE("seed " + std::to_string(seed) + ", " + request.model.name + " for " + name);
    if (name != "accumulate") take(request.values, name);
    if (name == "lora-rank") request.values.push_back({"lora-targets", "all-linear"});
    const Result<Sought> sought = read_sought(&request.model, request.values, name);
    if (!sought) continue;  // such as a family without that size
    const Result<Solution> solution = solve_for(*sought, dice.from(0, 1) == 0 ? Effort::kLittle : Effort::kWhole);
    ASSERT_TRUE(solution) << solution.error().problem;
    ++solved;
    if (solution->value > 0) {
      EXPECT_TRUE(fits(sought->at(solution->value))) << solution->value;
    }
    if (solution->next > 0) {
      EXPECT_FALSE(fits(sought->at(solution->next))) << solution->next;
    }
    EXPECT_TRUE(solution->value > 0 || solution->next > 0);
  }
  EXPECT_GT(solved, 30);
}

TEST(Sought, StepsLeadOverStretchesThatAreNoJobs) {
  // Of 14 heads a hidden size of 910 to 923 makes heads of an odd width, which rotary embeddings refuse.
  const NamedConfig model = *shipped_config("qwen2.5-0.5b");
  const OptionValues values = {
      {"layers", "4"}, {"batch", "1"}, {"seq", "252"}, {"gpu", "2244MiB"}, {"reserved", "bounds"}};
  const Result<Sought> sought = read_sought(&model, values, "hidden");
  ASSERT_TRUE(sought);
  EXPECT_EQ(sought->variants.grid.step, 28);
  const Result<Solution> solution = solve_for(*sought);
  ASSERT_TRUE(solution);
  EXPECT_TRUE(fits(sought->at(solution->value))) << solution->value;
  EXPECT_FALSE(fits(sought->at(solution->next))) << solution->next;
}

/// Holds a solution to the estimate at its value and at the next.
void expect_solved(const char* model, const OptionValues& values, const char* name, bool smallest) {
  SCOPED_TRACE(std::string(model) + " for " + name);
  const NamedConfig config = *shipped_config(model);
  const Result<Sought> sought = read_sought(&config, values, name);
  ASSERT_TRUE(sought) << sought.error().field << " " << sought.error().problem;
  const Result<Solution> solution = solve_for(*sought);
  ASSERT_TRUE(solution) << solution.error().problem;
  EXPECT_EQ(solution->smallest, smallest);
  ASSERT_GT(solution->value, 0);
  EXPECT_TRUE(fits(sought->at(solution->value)));
  if (solution->next > 0) {
    EXPECT_FALSE(fits(sought->at(solution->next)));
  }
}

TEST(Sought, StagesAndRanksOfZeroAreTheFewest) {
  OptionValues values = {{"gpu", "5GiB"}, {"trainer", "hf"}, {"precision", "bf16"}, {"batch", "1"},
                         {"seq", "128"},  {"layers", "6"},   {"accumulate", "2"},   {"optimizer-impl", "fused"}};
  OptionValues staged = values;
  staged.push_back({"ranks", "4"});
  expect_solved("qwen2.5-0.5b", staged, "zero", true);
  values.push_back({"zero", "2"});
  expect_solved("qwen2.5-0.5b", values, "ranks", true);
}

TEST(Sought, ExpertsOfAMixtureAreTheMost) {
  expect_solved("qwen3-30b-a3b",
                {{"gpu", "24GiB"}, {"layers", "2"}, {"precision", "bf16"}, {"batch", "1"}, {"seq", "128"}},
                "num-experts", false);
  const Result<Sought> dense = read_sought(&*shipped_config("gpt2"), {{"gpu", "t4"}}, "num-experts");
  ASSERT_FALSE(dense);
  EXPECT_EQ(dense.error().field, "--num-experts");
}

TEST(Sought, AFrontiersPointsAreSolutions) {
  for (uint32_t seed = 0; seed < 3; ++seed) {
    Case request = random_request(seed);
    for (const char* name : {"batch", "seq"}) take(request.values, name);
    const Result<Frontier> found = frontier(&request.model, request.values, {"batch", "seq"});
    ASSERT_TRUE(found);
    for (const FrontierPoint& point : found->points) {
      OptionValues values = request.values;
      values.push_back({"batch", std::to_string(point.first)});
      values.push_back({"seq", std::to_string(point.second)});
      EXPECT_TRUE(fits(make_request(&request.model, values, Command::kEstimate))) << point.first;
    }
  }
}

TEST(Sought, CardsSayWhatTheEstimateSays) {
  Case request = random_request(7);
  take(request.values, "gpu");
  const std::vector<std::string> names = {"t4", "l4", "a100-1g.5gb", "3GiB"};
  const Result<Cards> cards = choose_card(&request.model, request.values, names);
  ASSERT_TRUE(cards);
  for (size_t i = 0; i < names.size(); ++i) {
    OptionValues values = request.values;
    values.push_back({"gpu", names[i]});
    EXPECT_EQ(fits(make_request(&request.model, values, Command::kEstimate)), fits(cards->rows[i])) << names[i];
    ASSERT_TRUE(cards->rows[i].solution);
    const int64_t batch = cards->rows[i].solution->value;
    if (batch == 0) continue;
    take(values, "batch");
    values.push_back({"batch", std::to_string(batch)});
    EXPECT_TRUE(fits(make_request(&request.model, values, Command::kEstimate))) << names[i];
  }
}

}  // namespace
}  // namespace peakmem
