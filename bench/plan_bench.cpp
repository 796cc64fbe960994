// What questions backwards cost: the largest batch, what to change, every plan, and the time of a step.
#include <benchmark/benchmark.h>

#include "estimate/step_time.h"
#include "plan/advise.h"
#include "plan/cards.h"
#include "plan/plan.h"
#include "plan/sought.h"

namespace peakmem {
namespace {

const NamedConfig& model_of(const char* name) {
  static std::map<std::string, NamedConfig> models;
  return models.try_emplace(name, *shipped_config(name)).first->second;
}

/// From options to the largest value; `reserved`: by bounds, or the allocator replayed.
void BM_Solve(benchmark::State& state, const char* model, const char* unknown, const char* reserved) {
  const OptionValues values = {
      {"gpu", "a100-80gb"}, {"precision", "bf16"}, {"checkpointing", "full"}, {"reserved", reserved}};
  for (auto _ : state) {
    const Result<Sought> sought = read_sought(&model_of(model), values, unknown);
    benchmark::DoNotOptimize(solve_for(*sought));
  }
}
BENCHMARK_CAPTURE(BM_Solve, batch_by_bounds, "llama-3.2-1b", "batch", "bounds");
BENCHMARK_CAPTURE(BM_Solve, batch, "llama-3.2-1b", "batch", "replay");
BENCHMARK_CAPTURE(BM_Solve, seq_by_bounds, "llama-3.2-1b", "seq", "bounds");
BENCHMARK_CAPTURE(BM_Solve, gpus, "llama-3.2-1b", "gpus", "replay");

/// --for gpu: the verdict and the largest batch on every card.
void BM_Cards(benchmark::State& state, const char* reserved) {
  const OptionValues values = {{"precision", "bf16"}, {"checkpointing", "full"}, {"reserved", reserved}};
  for (auto _ : state) benchmark::DoNotOptimize(choose_card(&model_of("llama-3.2-1b"), values, all_cards()));
}
BENCHMARK_CAPTURE(BM_Cards, by_bounds, "bounds")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Cards, replayed, "replay")->Unit(benchmark::kMillisecond);

void BM_Advise(benchmark::State& state, const char* model, const char* gpu) {
  for (auto _ : state) benchmark::DoNotOptimize(advise(&model_of(model), {{"gpu", gpu}, {"batch", "4"}}));
}
BENCHMARK_CAPTURE(BM_Advise, gpt2_xl, "gpt2-xl", "t4");
BENCHMARK_CAPTURE(BM_Advise, llama_8b, "llama-3.1-8b", "rtx-4090");

/// Every plan of a space; items are plans.
void BM_Plan(benchmark::State& state, const char* model, const char* gpus, const char* global_batch) {
  const OptionValues values = {
      {"gpus", gpus}, {"global-batch", global_batch}, {"seq", "1024"}};  // as long as gpt2-xl's may be
  int64_t plans = 0;
  for (auto _ : state) plans += find_plans(&model_of(model), values)->space.size();
  state.SetItemsProcessed(plans);
}
BENCHMARK_CAPTURE(BM_Plan, gpt2_xl_on_2, "gpt2-xl", "2xa100-40gb", "16")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Plan, llama_8b_on_8, "llama-3.1-8b", "8xh100-80gb", "256")->Unit(benchmark::kMillisecond);

/// A step's time from nothing.
void BM_StepTime(benchmark::State& state) {
  const Result<Request> request =
      make_request(&model_of("llama-3.1-8b"), {{"precision", "bf16"}, {"gpu", "h100-80gb"}}, Command::kEstimate);
  for (auto _ : state) benchmark::DoNotOptimize(step_time(request->job, *request->gpu));
}
BENCHMARK(BM_StepTime);

}  // namespace
}  // namespace peakmem
