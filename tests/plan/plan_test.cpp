#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "estimate/estimate.h"

namespace peakmem {
namespace {

/// A command line's words behind the model, as options.
OptionValues options_of(const std::string& command, const std::string& model) {
  OptionValues values;
  for (size_t begin = command.find(model) + model.size(); begin < command.size();) {
    const size_t end = std::min(command.find(' ', begin), command.size());
    const std::string word = command.substr(begin, end - begin);
    begin = end + 1;
    if (word.starts_with("--"))
      values.push_back({word.substr(2), ""});
    else if (!word.empty())
      values.back().text = word;
  }
  return values;
}

struct Case {
  const char* model;
  OptionValues values;
};

/// Small spaces: each with plans that fit, some that do not, and some that are none.
const std::vector<Case>& requests() {
  static const std::vector<Case> requests = {{"gpt2",
                                              {{"gpus", "2xt4:-13GiB"},
                                               {"global-batch", "8"},
                                               {"seq", "128"},
                                               {"layers", "4"},
                                               {"optimizer-impl", "fused"},
                                               {"kernels", "hf"}}},
                                             {"qwen2.5-0.5b",
                                              {{"gpus", "4xrtx-3090:-18GiB"},
                                               {"global-batch", "8"},
                                               {"seq", "128"},
                                               {"layers", "4"},
                                               {"optimizer-impl", "fused"},
                                               {"checkpointing", "full"}}},
                                             {"gpt2",
                                              {{"gpus", "1xt4:-13GiB"},
                                               {"global-batch", "4"},
                                               {"seq", "128"},
                                               {"layers", "4"},
                                               {"allow", "optimizer,lora"},
                                               {"optimizer-impl", "loop"},
                                               {"checkpointing", "none"},
                                               {"kernels", "hf"}}}};
  return requests;
}

/// Every plan of the space as the commands estimate and time have it.
struct Known {
  int64_t id = 0;
  double seconds = 0;
  int64_t device = 0;
};

std::vector<Known> all_that_fit(const NamedConfig& model, const PlanSpace& space) {
  std::vector<Known> known;
  for (int64_t id = 0; id < space.size(); ++id) {
    const Result<Request> request = make_request(&model, options_at(space, id), Command::kEstimate);
    if (!request) continue;
    const Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
    const Result<StepTime> time = step_time(request->job, *request->gpu);
    EXPECT_TRUE(report && time);
    if (report->fits->fits) known.push_back({id, time->seconds.likely, report->device.likely});
  }
  std::sort(known.begin(), known.end(), [](const Known& a, const Known& b) {
    return std::tie(a.seconds, a.device, a.id) < std::tie(b.seconds, b.device, b.id);
  });
  return known;
}

std::vector<int64_t> ids_of(const std::vector<PlanRow>& rows) {
  std::vector<int64_t> ids;
  for (const PlanRow& row : rows) ids.push_back(row.id);
  return ids;
}

/// Of plans in their order those that none before them is as small as.
std::vector<int64_t> front_of(const std::vector<Known>& known) {
  std::vector<int64_t> front;
  int64_t least = INT64_MAX;
  for (const Known& plan : known) {
    if (plan.device >= least) continue;
    least = plan.device;
    front.push_back(plan.id);
  }
  return front;
}

TEST(Plan, IsWhatLookingAtEveryPlanFinds) {
  for (const Case& request : requests()) {
    SCOPED_TRACE(request.model);
    const NamedConfig model = *shipped_config(request.model);
    const Result<Plans> plans = find_plans(&model, request.values);
    ASSERT_TRUE(plans) << plans.error().field << " " << plans.error().problem;
    const std::vector<Known> known = all_that_fit(model, plans->space);
    ASSERT_FALSE(known.empty());
    EXPECT_LT(static_cast<int64_t>(known.size()), plans->space.size());
    std::vector<int64_t> quickest;
    for (size_t i = 0; i < std::min<size_t>(10, known.size()); ++i) quickest.push_back(known[i].id);
    EXPECT_EQ(ids_of(plans->top), quickest);
    EXPECT_EQ(ids_of(plans->front), front_of(known));
    EXPECT_LT(plans->counts.replayed, plans->space.size());
  }
}

TEST(Plan, HasTheMemoryOfItsCommand) {
  for (const Case& request : requests()) {
    const NamedConfig model = *shipped_config(request.model);
    const Result<Plans> plans = find_plans(&model, request.values);
    ASSERT_TRUE(plans);
    std::vector<PlanRow> rows = plans->top;
    rows.insert(rows.end(), plans->front.begin(), plans->front.end());
    for (const PlanRow& row : rows) {
      SCOPED_TRACE(row.command);
      const Result<Request> request = make_request(&model, options_of(row.command, model.name), Command::kEstimate);
      ASSERT_TRUE(request) << request.error().field << " " << request.error().problem;
      const Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
      EXPECT_EQ(report->device.likely, row.device.likely);
      EXPECT_EQ(report->allocated_bytes, row.allocated_bytes);
      EXPECT_TRUE(report->fits->fits);
      EXPECT_EQ(step_time(request->job, *request->gpu)->seconds.likely, row.time.seconds.likely);
    }
  }
}

TEST(Plan, NumbersAndChoicesGoTogether) {
  const Result<PlanSpace> space = space_of(&*shipped_config("gpt2"), requests()[0].values);
  ASSERT_TRUE(space);
  EXPECT_EQ(choices_at(*space, 0)[0], space->axes[0].choices[0]);
  EXPECT_EQ(choices_at(*space, space->size() - 1).back(), space->axes.back().choices.back());
  size_t beside = 0;
  for (const PlanAxis& axis : space->axes) beside += axis.choices.size() - 1;
  for (const int64_t id : {int64_t{0}, space->size() / 2, space->size() - 1}) {
    EXPECT_EQ(neighbours(*space, id).size(), beside);
    for (const int64_t other : neighbours(*space, id)) {
      const std::vector<std::string> a = choices_at(*space, id);
      const std::vector<std::string> b = choices_at(*space, other);
      size_t differ = 0;
      for (size_t i = 0; i < a.size(); ++i) differ += a[i] == b[i] ? 0 : 1;
      EXPECT_EQ(differ, 1);
    }
  }
}

TEST(Plan, SaysAtOnceThatTheWeightsDoNotFit) {
  const Result<Plans> plans =
      find_plans(&*shipped_config("llama-3.1-70b"), {{"gpus", "4xrtx-3090"}, {"global-batch", "8"}});
  ASSERT_TRUE(plans);
  EXPECT_NE(plans->bound.find("the weights alone take 32.85 GiB"), std::string::npos) << plans->bound;
  EXPECT_EQ(plans->counts.legal, 0);
}

TEST(Plan, AnEmptySpaceSaysWhichRuleEmptiedIt) {
  const Result<Plans> plans = find_plans(&*shipped_config("gpt2"), {{"gpus", "2xt4"},
                                                                    {"global-batch", "2"},
                                                                    {"optimizer", "adamw-8bit"},
                                                                    {"optimizer-impl", "fused"},
                                                                    {"seq", "128"}});
  ASSERT_TRUE(plans);
  EXPECT_TRUE(plans->top.empty());
  ASSERT_FALSE(plans->counts.rules.empty());
  EXPECT_NE(plans->counts.rules.begin()->first.find("--optimizer-impl"), std::string::npos)
      << plans->counts.rules.begin()->first;
}

TEST(Plan, WhyNamesWhatOneOtherChoiceWouldDo) {
  const NamedConfig model = *shipped_config("gpt2");
  const OptionValues& values = requests()[0].values;
  const Result<Plans> plans = find_plans(&model, values);
  ASSERT_TRUE(plans);
  const Result<PlanReason> first = explain_plan(&model, values, plans->top[0].id);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->better.empty());
  const Result<PlanReason> second = explain_plan(&model, values, plans->front.back().id);
  ASSERT_TRUE(second && second->plan);
  for (const PlanRow& row : second->better)
    EXPECT_LE(row.time.seconds.likely, second->plan->time.seconds.likely) << row.command;
}

TEST(Plan, BadQuestionsAreRefusedByTheirOption) {
  const NamedConfig model = *shipped_config("gpt2");
  const std::vector<std::pair<OptionValues, const char*>> bad = {
      {{{"global-batch", "8"}}, "--gpus"},
      {{{"gpus", "8xh100-80gb"}}, "--global-batch"},
      {{{"gpus", "8xh100-80gb"}, {"global-batch", "12"}}, "--global-batch"},
      {{{"gpus", "8xgaudi-2"}, {"global-batch", "8"}}, "--gpus"},
      {{{"gpus", "8xh100-80gb"}, {"global-batch", "8"}, {"allow", "magic"}}, "--allow"},
      {{{"gpus", "8xh100-80gb"}, {"global-batch", "8"}, {"batch", "3"}}, "--global-batch"},
      {{{"gpus", "8xh100-80gb"}, {"gpu", "h100-80gb"}, {"global-batch", "8"}}, "--gpu"}};
  for (const auto& [values, field] : bad) {
    const Result<Plans> plans = find_plans(&model, values);
    ASSERT_FALSE(plans) << field;
    EXPECT_EQ(plans.error().field, field) << plans.error().problem;
  }
}

}  // namespace
}  // namespace peakmem
