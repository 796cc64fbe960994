#include "estimate/formula.h"

#include <algorithm>

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::random_job;
using testing::whole;
using testing::word;

/// A model by its family and the sizes that matter.
Job job_of(const char* family, int64_t layers, int64_t heads, int64_t hidden) {
  Value config;
  config.kind = Value::Kind::kObject;
  config.members.push_back({"model_type", word(family)});
  config.members.push_back({"num_hidden_layers", whole(layers)});
  config.members.push_back({"num_attention_heads", whole(heads)});
  config.members.push_back({"hidden_size", whole(hidden)});
  std::vector<std::string> unknown;
  const Result<Description> description = read_description(config, nullptr, unknown);
  EXPECT_TRUE(description);
  Job job = {*description, {}};
  job.recipe.optimizer = find_optimizer("adamw");
  return job;
}
Job gpt2() { return job_of("gpt2", 12, 12, 768); }

int64_t value_at(Expr formula, const FormulaReport& report) {
  return evaluate(formula, report.traced->symbol_values());
}

bool mentions(const std::vector<CrossingLine>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const CrossingLine& line) { return line.text.find(text) != std::string::npos; });
}

// The formula is of the trace with symbols; the numbers are of another trace, with numbers.
TEST(Formula, GivesThePeakAndThePhasesExactly) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Job job = random_job(seed);
    const Result<FormulaReport> report = formulas(job);
    ASSERT_TRUE(report) << "seed " << seed << ": " << report.error().field << " " << report.error().problem;
    const Program program = trace_step(job, number_dims(job));
    const Result<Timeline> timeline = evaluate(program, {});
    ASSERT_TRUE(timeline);
    EXPECT_EQ(report->peak.value, highest(program, *timeline, 2, &PhaseLevels::tensors).bytes) << "seed " << seed;
    size_t next = 0;
    for (size_t i = 0; i < timeline->size(); ++i) {
      const Phase& phase = program.phases[i];
      if (phase.step == 0 || std::string_view(phase.name) == "zero_grad") continue;
      ASSERT_LT(next, report->phases.size());
      const FormulaOf& formula = report->phases[next++];
      EXPECT_EQ(formula.value, (*timeline)[i].tensors.bytes) << formula.name << " seed " << seed;
      EXPECT_EQ(formula.step, phase.step);
    }
    EXPECT_EQ(next, report->phases.size());
  }
}

TEST(Formula, PartsSumToThePeak) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Result<FormulaReport> report = formulas(random_job(seed));
    ASSERT_TRUE(report);
    Expr sum = 0;
    for (const FormulaOf& part : report->parts) {
      EXPECT_GT(part.value, 0) << part.name << " seed " << seed;
      sum += part.bytes;
    }
    EXPECT_TRUE(identical(sum, report->peak.bytes)) << "seed " << seed;
  }
}

// At sizes the job does not have the highest of the formulas is the peak of a trace at those sizes.
TEST(Formula, RivalsTakeOverAtOtherSizes) {
  for (const int64_t batch : {2, 4, 32, 256, 2048}) {
    for (const int64_t layers : {4, 12, 120}) {
      Job job = gpt2();
      const Result<FormulaReport> report = formulas(job);
      ASSERT_TRUE(report);
      job.recipe.batch = batch;
      job.description.layers = layers;
      job.description.runs = {{layers, false}};
      const Program program = trace_step(job, number_dims(job));
      const Result<Timeline> timeline = evaluate(program, {});
      ASSERT_TRUE(timeline);
      const auto peak = static_cast<double>(highest(program, *timeline, 2, &PhaseLevels::tensors).bytes);
      std::vector<int64_t> sizes = report->traced->symbol_values();
      sizes[static_cast<size_t>(report->traced->pool().symbol_index("B"))] = batch;
      sizes[static_cast<size_t>(report->traced->pool().symbol_index("L"))] = layers;
      double best = real_value(report->peak.bytes, sizes);
      for (const FormulaOf& rival : report->rivals) best = std::max(best, real_value(rival.bytes, sizes));
      EXPECT_LE(best, peak);
      EXPECT_GE(best, 0.97 * peak) << "B = " << batch << ", L = " << layers;
    }
  }
}

TEST(Formula, RivalsAreLowerHere) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Result<FormulaReport> report = formulas(random_job(seed));
    ASSERT_TRUE(report);
    for (const FormulaOf& rival : report->rivals) EXPECT_LE(rival.value, report->peak.value) << rival.name;
  }
}

TEST(Formula, SumsAreWhatTheyAreCalled) {
  Job job = gpt2();
  const Result<FormulaReport> report = formulas(job);
  ASSERT_TRUE(report);
  const int64_t parameters = evaluate(report->traced->program().parameters, report->traced->symbol_values());
  EXPECT_EQ(parameters, 124439808);  // of openai-community/gpt2
  // The optimizer keeps two moments, and a step counter on the host for each of the 148 tensors.
  EXPECT_NEAR(static_cast<double>(report->states.value), 16.0 * static_cast<double>(parameters), 4096);
  EXPECT_EQ(value_at(report->kept_by_layers.bytes, *report), report->kept_by_layers.value);
  EXPECT_GT(report->head.value, int64_t{8} * 1024 * 50257 * 8);
}

TEST(Formula, SizesBeyond63BitsAreAnError) {
  Job job = random_job(3);
  job.recipe.batch = int64_t{1} << 40;
  job.recipe.seq = int64_t{1} << 40;
  EXPECT_FALSE(formulas(job));
  EXPECT_TRUE(textbook(job).empty());
}

TEST(Dimensions, PowersOfAGpt) {
  Job job = gpt2();
  job.recipe.attention = Attention::kEager;
  const Result<FormulaReport> report = formulas(job);
  ASSERT_TRUE(report);
  for (const Dimension& each : dimensions(*report)) {
    const bool squared = each.symbol == "T" || each.symbol == "C";
    const bool plain = each.symbol == "B" || each.symbol == "L" || each.symbol == "V";
    if (squared || plain) {
      EXPECT_EQ(each.power, squared ? 2 : 1) << each.symbol;
    }
    EXPECT_GE(each.share, 0) << each.symbol;
    EXPECT_LE(each.share, 1) << each.symbol;
  }
}

TEST(Dimensions, DoublingIsTracedAnew) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Job job = random_job(seed);
    const Result<FormulaReport> report = formulas(job);
    ASSERT_TRUE(report);
    for (const Dimension& each : dimensions(*report)) {
      if (each.symbol != "B") continue;
      job.recipe.batch *= 2;
      const Result<Levels> levels = peak_levels(job, nullptr);
      ASSERT_TRUE(levels);
      EXPECT_EQ(each.doubled_bytes, levels->tensors) << "seed " << seed;
    }
  }
}

TEST(Crossings, ScoresOvertakeOnlyWhereTheyAreKept) {
  Job job = gpt2();
  job.recipe.attention = Attention::kEager;
  const Result<FormulaReport> eager = formulas(job);
  ASSERT_TRUE(eager);
  EXPECT_TRUE(mentions(crossings(*eager), "attention scores"));
  job.recipe.attention = Attention::kSdpa;
  const Result<FormulaReport> sdpa = formulas(job);
  ASSERT_TRUE(sdpa);
  EXPECT_FALSE(mentions(crossings(*sdpa), "attention scores"));
}

// What a line says of B is so at that value and not yet just below it.
TEST(Crossings, ActivationsPassTheStatesWhereTheLineSays) {
  Job job = gpt2();
  job.recipe.seq = 256;  // short enough that a batch of 1 does not pass them yet
  const Result<FormulaReport> report = formulas(job);
  ASSERT_TRUE(report);
  bool found = false;
  for (const CrossingLine& line : crossings(*report)) {
    if (line.text.find("from B = ") != 0 || line.text.find("optimizer state") == std::string::npos) continue;
    found = true;
    std::vector<int64_t> sizes = report->traced->symbol_values();
    const auto place = static_cast<size_t>(report->traced->pool().symbol_index("B"));
    const Expr kept = report->kept_by_layers.bytes + report->kept_by_rest.bytes;
    sizes[place] = line.value;
    EXPECT_GE(evaluate(kept, sizes), evaluate(report->states.bytes, sizes));
    sizes[place] = line.value - 1;
    EXPECT_LT(evaluate(kept, sizes), evaluate(report->states.bytes, sizes));
  }
  EXPECT_TRUE(found);
}

TEST(Crossings, AnyJobHasAnAnswer) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Result<FormulaReport> report = formulas(random_job(seed));
    ASSERT_TRUE(report);
    for (const CrossingLine& line : crossings(*report)) EXPECT_GT(line.value, 0) << line.text;
  }
}

TEST(Crossings, AreWrittenInTheReadersLetters) {
  Job job = gpt2();
  job.recipe.seq = 256;
  const Result<FormulaReport> report = formulas(job);
  ASSERT_TRUE(report);
  EXPECT_TRUE(mentions(crossings(*report, {{"B", "b"}, {"T", "s"}}), "from b = "));
  EXPECT_FALSE(mentions(crossings(*report, {{"B", "b"}, {"T", "s"}}), "T = "));
}

}  // namespace
}  // namespace peakmem
