#include "train/step.h"

#include <map>

#include "request/named_config.h"
#include "request/request.h"
#include "trace/evaluate.h"
#include "train/jobs.h"

namespace peakmem {
namespace {

using testing::random_job;
using testing::random_replicated_job;
using testing::random_sharded_job;

/// One GPU, shards or copies, in turn.
Job random_job_on_ranks(uint32_t seed) {
  return seed % 3 == 0 ? random_job(seed) : seed % 3 == 1 ? random_sharded_job(seed) : random_replicated_job(seed);
}

Timeline numbers(const Job& job, bool unrolled) {
  const Result<Timeline> timeline = evaluate(trace_step(job, number_dims(job), unrolled), {});
  EXPECT_TRUE(timeline);
  return *timeline;
}

/// The levels of the phases that both traces have: the unrolled one has every micro-batch.
void expect_same(const Job& job, const Timeline& folded, const Timeline& unrolled, uint32_t seed) {
  const Program folded_program = trace_step(job, number_dims(job));
  const Program unrolled_program = trace_step(job, number_dims(job), true);
  for (size_t i = 0; i < folded_program.phases.size(); ++i) {
    const Phase& phase = folded_program.phases[i];
    bool found = false;
    for (size_t k = 0; k < unrolled_program.phases.size(); ++k) {
      const Phase& other = unrolled_program.phases[k];
      if (other.step != phase.step || other.micro != phase.micro || std::string_view(other.name) != phase.name)
        continue;
      found = true;
      EXPECT_EQ(folded[i].tensors.bytes, unrolled[k].tensors.bytes)
          << phase.name << " of step " << phase.step << " seed " << seed;
      EXPECT_EQ(folded[i].blocks.bytes, unrolled[k].blocks.bytes)
          << phase.name << " of step " << phase.step << " seed " << seed;
      EXPECT_EQ(folded[i].end.tensors, unrolled[k].end.tensors)
          << phase.name << " of step " << phase.step << " seed " << seed;
    }
    EXPECT_TRUE(found);
  }
}

TEST(Step, FoldedLayersGiveWhatEveryLayerTracedGives) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Job job = random_job(seed);
    expect_same(job, numbers(job, false), numbers(job, true), seed);
  }
}

/// Of a step's phases: how many biases are cast for good.
int64_t casts_for_good(const Program& program, int32_t step) {
  int64_t casts = 0;
  for (const Phase& phase : program.phases)
    for (int32_t i = phase.first_segment; phase.step == step && i < phase.last_segment; ++i) {
      const Segment& segment = program.segments[static_cast<size_t>(i)];
      for (int32_t j = segment.first; j < segment.last; ++j) {
        const Event& event = program.events[static_cast<size_t>(j)];
        if (event.once && event.birth) casts += program.turns[static_cast<size_t>(segment.turn)].count.number();
      }
    }
  return casts;
}

TEST(Step, BiasesOfPackedLayersAreCastInTheFirstStepAlone) {
  const NamedConfig config = *parse_config(R"({"model_type": "roberta", "num_hidden_layers": 5})", "roberta");
  const OptionValues options = {{"precision", "bf16"},
                                {"quantize", "nf4"},
                                {"lora-rank", "4"},
                                {"batch", "1"},
                                {"seq", "8"},
                                {"accumulate", "2"},
                                {"task", "masked-lm"},
                                {"checkpointing", "full"},
                                {"lora-targets", "query,value"}};
  const Result<Request> request = make_request(&config, options, Command::kEstimate);
  ASSERT_TRUE(request);
  const Program program = trace_step(request->job, number_dims(request->job));
  EXPECT_EQ(casts_for_good(program, 1), 5 * 6 + 1);  // six of every layer, and the head's dense layer
  EXPECT_EQ(casts_for_good(program, 2), 0);
}

// The gradient of the position bias goes from layer to layer; the last two treat it otherwise than the rest.
TEST(Step, FoldedLayersOfT5PassTheirBias) {
  const NamedConfig config =
      *parse_config(R"({"model_type": "t5", "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 9,
      "num_heads": 3, "vocab_size": 90, "decoder_start_token_id": 0})",
                    "t5");
  for (uint32_t seed = 0; seed < 64; ++seed) {
    const OptionValues options = {{"task", "seq2seq-lm"},
                                  {"batch", seed & 1 ? "1" : "3"},
                                  {"seq", seed & 2 ? "16" : "9"},
                                  {"target-seq", seed & 4 ? "8" : "5"},
                                  {"attention", seed & 8 ? "eager" : "sdpa"},
                                  {"checkpointing", seed & 16 ? "full" : "none"},
                                  {"precision", seed & 32 ? "bf16-mixed" : "fp32"}};
    const Result<Request> request = make_request(&config, options, Command::kEstimate);
    ASSERT_TRUE(request) << request.error().problem;
    expect_same(request->job, numbers(request->job, false), numbers(request->job, true), seed);
  }
}

TEST(Step, FoldedLayersGiveTheSameOverRanks) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Job job = random_sharded_job(seed);
    expect_same(job, numbers(job, false), numbers(job, true), seed);
  }
}

TEST(Step, FormulasEvaluateToTheNumbers) {
  for (uint32_t seed = 0; seed < 600; ++seed) {
    const Job job = random_job_on_ranks(seed);
    Pool pool;
    std::vector<int64_t> values;
    const Dims dims = symbol_dims(job, pool, values);
    const Program program = trace_step(job, dims);
    const Result<Timeline> formulas = evaluate(program, pool.evaluate(values));
    ASSERT_TRUE(formulas) << "seed " << seed;
    const Timeline expected = numbers(job, false);
    ASSERT_EQ(formulas->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ((*formulas)[i].tensors.bytes, expected[i].tensors.bytes)
          << "seed " << seed << " phase " << program.phases[i].name;
      EXPECT_EQ((*formulas)[i].end.tensors, expected[i].end.tensors) << "seed " << seed;
    }
  }
}

TEST(Step, TheStepEndsWhereItBegan) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Job job = random_job_on_ranks(seed);
    const Program program = trace_step(job, number_dims(job));
    const Timeline timeline = numbers(job, false);
    int64_t first = 0;
    for (size_t i = 0; i < timeline.size(); ++i)
      if (program.phases[i].step == 1) first = timeline[i].end.tensors;
    EXPECT_EQ(first, timeline.back().end.tensors) << "seed " << seed;
  }
}

// What step 2 makes it lets go, so that a third step does the same again.
TEST(Step, TheSteadyStepLeavesNothing) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Job job = random_job_on_ranks(seed);
    const Program program = trace_step(job, number_dims(job), true);
    std::map<int32_t, int64_t> left;
    for (const Phase& phase : program.phases)
      for (int32_t i = phase.first_segment; phase.step == 2 && i < phase.last_segment; ++i) {
        const Segment& segment = program.segments[static_cast<size_t>(i)];
        for (int32_t j = segment.first; j < segment.last; ++j) {
          const Event& event = program.events[static_cast<size_t>(j)];
          left[event.storage] += event.birth ? 1 : -1;
        }
      }
    for (const auto& [storage, count] : left)
      EXPECT_EQ(count, 0) << "seed " << seed << " " << program.storages[static_cast<size_t>(storage)].made_by;
  }
}

TEST(Step, MoreBatchNeverNeedsLess) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Job job = random_job(seed);
    int64_t before = 0;
    for (int64_t batch = 2; batch < 6; ++batch) {
      job.recipe.batch = batch;
      const Program program = trace_step(job, number_dims(job));
      const int64_t peak = highest(program, numbers(job, false), 2, &PhaseLevels::tensors).bytes;
      EXPECT_GE(peak, before) << "seed " << seed << " batch " << batch;
      before = peak;
    }
  }
}

TEST(Step, CostDoesNotGrowWithDepth) {
  Job job = random_job(1);
  job.description.layers = 4;
  job.description.runs = {{4, false}};
  const size_t shallow = trace_step(job, number_dims(job)).events.size();
  job.description.layers = 4000;
  job.description.runs = {{4000, false}};
  EXPECT_EQ(trace_step(job, number_dims(job)).events.size(), shallow);
}

}  // namespace
}  // namespace peakmem
