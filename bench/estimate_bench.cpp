// What an estimate costs in process, and that it does not grow with depth.
#include <benchmark/benchmark.h>

#include "estimate/bulk.h"
#include "estimate/estimate.h"
#include "estimate/reserved.h"
#include "format/json.h"
#include "request/request.h"
#include "request/shipped.h"

namespace peakmem {
namespace {

/// The job of a shipped model with that many layers: bf16, sequence 2048, batch 4.
Job job_of(const char* name, int64_t layers, Checkpointing checkpointing) {
  Job job = make_request(&*shipped_config(name), {{"precision", "bf16"}, {"batch", "4"}}, Command::kEstimate)->job;
  job.description.layers = layers;
  job.description.runs = {{layers, false}};
  job.recipe.checkpointing = checkpointing;
  return job;
}

/// Tracing a structure on numbers and finding its peaks: an estimate from nothing.
void BM_TraceAndEvaluate(benchmark::State& state, const char* name, Checkpointing checkpointing) {
  const Job job = job_of(name, state.range(0), checkpointing);
  for (auto _ : state) benchmark::DoNotOptimize(peak_levels(job, nullptr));
}
BENCHMARK_CAPTURE(BM_TraceAndEvaluate, gpt2, "gpt2", Checkpointing::kNone)->Arg(12)->Arg(96)->Arg(10000);
BENCHMARK_CAPTURE(BM_TraceAndEvaluate, llama, "llama-3.1-70b", Checkpointing::kNone)->Arg(4)->Arg(80)->Arg(10000);
BENCHMARK_CAPTURE(BM_TraceAndEvaluate, llama_checkpointed, "llama-3.1-70b", Checkpointing::kFull)->Arg(80);

/// The same for a set-up of each kind, given as on the command line.
void BM_EstimateOf(benchmark::State& state, const char* name, OptionValues options) {
  options.insert(options.end(), {{"batch", "4"}, {"seq", "512"}});
  const Job job = make_request(&*shipped_config(name), options, Command::kEstimate)->job;
  for (auto _ : state) benchmark::DoNotOptimize(peak_levels(job, nullptr));
}
#define PEAKMEM_KIND(kind, model, ...) BENCHMARK_CAPTURE(BM_EstimateOf, kind, model, OptionValues __VA_ARGS__)
PEAKMEM_KIND(t5, "t5-base", {{"task", "seq2seq-lm"}, {"target-seq", "128"}, {"checkpointing", "full"}});
PEAKMEM_KIND(mixtral, "mixtral-8x7b", {{"precision", "bf16"}});
PEAKMEM_KIND(gemma2, "gemma-2-9b", {{"precision", "bf16"}, {"checkpointing", "full"}});
PEAKMEM_KIND(lora, "llama-3.1-8b", {{"precision", "bf16-mixed"}, {"lora-rank", "16"}, {"lora-targets", "all-linear"}});
PEAKMEM_KIND(qlora, "llama-3.1-8b",
             {{"precision", "bf16-mixed"},
              {"quantize", "nf4"},
              {"checkpointing", "full"},
              {"lora-rank", "16"},
              {"lora-targets", "all-linear"}});
PEAKMEM_KIND(liger, "llama-3.1-8b", {{"precision", "bf16"}, {"kernels", "liger"}});
PEAKMEM_KIND(fsdp, "llama-3.1-70b", {{"precision", "bf16"}, {"fsdp", "64"}, {"checkpointing", "full"}});
PEAKMEM_KIND(ddp, "gpt2", {{"precision", "bf16-mixed"}, {"ddp", "8"}});

/// A traced structure at other sizes: what a search pays for each estimate.
void BM_EvaluateTraced(benchmark::State& state, const char* name, Checkpointing checkpointing) {
  const TracedJob traced(job_of(name, state.range(0), checkpointing));
  int64_t batch = 2;
  for (auto _ : state) benchmark::DoNotOptimize(traced.at({"B"}, batch = batch % 64 + 2, nullptr));
}
BENCHMARK_CAPTURE(BM_EvaluateTraced, gpt2, "gpt2", Checkpointing::kNone)->Arg(12);
BENCHMARK_CAPTURE(BM_EvaluateTraced, llama, "llama-3.1-70b", Checkpointing::kNone)->Arg(80)->Arg(10000);
BENCHMARK_CAPTURE(BM_EvaluateTraced, llama_checkpointed, "llama-3.1-70b", Checkpointing::kFull)->Arg(80);

/// The same over arrays of batches and lengths, a thousand at once; items are estimates.
void BM_EvaluateInBulk(benchmark::State& state, const char* name, Checkpointing checkpointing) {
  const TracedJob traced(job_of(name, state.range(0), checkpointing));
  const std::optional<BulkPeak> bulk = BulkPeak::of(traced, {{"B", 2, 65}, {"T", 384, 8448}}, nullptr);
  std::vector<int64_t> batch(1000);
  std::vector<int64_t> seq(1000);
  std::vector<int64_t> peaks(1000);
  for (size_t i = 0; i < batch.size(); ++i) batch[i] = static_cast<int64_t>(i % 64 + 2), seq[i] = 128 * (batch[i] + 1);
  const std::vector<std::span<const int64_t>> sizes = {batch, seq};
  for (auto _ : state) {
    bulk->evaluate(sizes, peaks);
    benchmark::DoNotOptimize(peaks.data());
  }
  state.SetItemsProcessed(1000 * state.iterations());
}
BENCHMARK_CAPTURE(BM_EvaluateInBulk, gpt2, "gpt2", Checkpointing::kNone)->Arg(12);
BENCHMARK_CAPTURE(BM_EvaluateInBulk, llama, "llama-3.1-70b", Checkpointing::kNone)->Arg(80);
BENCHMARK_CAPTURE(BM_EvaluateInBulk, llama_checkpointed, "llama-3.1-70b", Checkpointing::kFull)->Arg(80);

/// What the caching allocator reserves: layers unrolled, steps replayed.
void BM_Replay(benchmark::State& state) {
  const Job job = job_of("llama-3.1-70b", state.range(0), Checkpointing::kNone);
  for (auto _ : state) benchmark::DoNotOptimize(replay_job(job, nullptr, {}));
}
BENCHMARK(BM_Replay)->Arg(4)->Arg(48)->Arg(126);

/// The whole report: traced with symbols, with every row's formula.
void BM_Report(benchmark::State& state) {
  const Job job = job_of("llama-3.1-70b", 80, Checkpointing::kNone);
  for (auto _ : state) benchmark::DoNotOptimize(estimate(job, nullptr));
}
BENCHMARK(BM_Report);

void BM_ParseShippedConfigs(benchmark::State& state) {
  int64_t bytes = 0;
  for (auto _ : state) {
    for (const ShippedFile& file : shipped_models()) {
      benchmark::DoNotOptimize(parse_json(file.text));
      bytes += static_cast<int64_t>(file.text.size());
    }
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_ParseShippedConfigs);

}  // namespace
}  // namespace peakmem
