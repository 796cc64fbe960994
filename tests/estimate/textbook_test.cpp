#include "estimate/textbook.h"

#include "../train/jobs.h"

namespace peakmem {
namespace {

using testing::random_job;
using testing::word;

Job job_of(const char* family, DType weights, Attention attention) {
  Value config;
  config.kind = Value::Kind::kObject;
  config.members.push_back({"model_type", word(family)});
  std::vector<std::string> unknown;
  const Result<Description> description = read_description(config, nullptr, unknown);
  EXPECT_TRUE(description);
  Job job = {*description, {}};
  job.recipe.optimizer = find_optimizer("adamw");
  job.recipe.weights = weights;
  job.recipe.attention = attention;
  return job;
}

Textbook row_of(const std::vector<Textbook>& rows, std::string_view formula) {
  for (const Textbook& row : rows)
    if (row.formula == formula) return row;
  ADD_FAILURE() << "no row " << formula;
  return rows.front();
}

TEST(Textbook, TheDerivationThatSpreadAsPrinted) {
  const std::vector<Textbook> rows = textbook(job_of("gpt2", DType::kFloat32, Attention::kEager));
  const Textbook model = row_of(rows, "M_model = 4LC², C = ND");
  EXPECT_EQ(model.printed, 4.0 * 12 * 768 * 768);
  EXPECT_EQ(model.bytes, 4 * model.printed);
  const Textbook activations = row_of(rows, "M_act = BNLT(T + 2D)");
  EXPECT_EQ(activations.printed, 8.0 * 12 * 12 * 1024 * (1024 + 128));
  // The ratio times the model is the activations again.
  EXPECT_NEAR(row_of(rows, "M_act = M_model · BT(T + 2D)/(4ND²)").bytes, activations.bytes, 1);
}

// With one sequence of 10,000 tokens the conclusion gives 509 "MB" for GPT-2's heads, whatever the depth.
TEST(Textbook, TheConclusionGivesSomeHundredMb) {
  Job job = job_of("gpt2", DType::kFloat32, Attention::kEager);
  job.recipe.batch = 1;
  job.recipe.seq = 10000;
  const Textbook row = row_of(textbook(job), "M ≈ BT²/(4ND²)");
  EXPECT_NEAR(row.bytes / 1e6, 508.6, 0.1);
  EXPECT_GT(row.reference / row.bytes, 50);
}

TEST(Textbook, HalfPrecisionHalvesTheBytes) {
  const std::vector<Textbook> full = textbook(job_of("gpt2", DType::kFloat32, Attention::kSdpa));
  const std::vector<Textbook> half = textbook(job_of("gpt2", DType::kBFloat16, Attention::kSdpa));
  EXPECT_EQ(row_of(full, "M_act = BNLT(T + 2D)").bytes, 2 * row_of(half, "M_act = BNLT(T + 2D)").bytes);
  EXPECT_EQ(row_of(full, "M_model = 4LC², C = ND").bytes, 2 * row_of(half, "M_model = 4LC², C = ND").bytes);
}

TEST(Textbook, GptParametersAreCountedExactly) {
  const Textbook row =
      row_of(textbook(job_of("gpt2", DType::kFloat32, Attention::kSdpa)), "12LC² + 13LC + VC + PC + 2C");
  EXPECT_EQ(row.printed, 124439808.0);
  EXPECT_EQ(row.bytes, row.reference);
}

TEST(Textbook, SixteenBytesAreAdamInFp32) {
  const Textbook row = row_of(textbook(job_of("gpt2", DType::kFloat32, Attention::kSdpa)), "16·parameters");
  EXPECT_NEAR(row.bytes / row.reference, 1, 1e-4);
}

// BERT in half precision with eager attention and dropout is the layer the paper counts, but for means and deviations.
TEST(Textbook, KorthikantiCountsABertLayer) {
  const Textbook row = row_of(textbook(job_of("bert", DType::kBFloat16, Attention::kEager)), "L·sbh(34 + 5as/h)");
  EXPECT_NEAR(row.bytes / row.reference, 1, 0.01);
}

TEST(Textbook, EveryRowSaysWhatItIs) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Job job = random_job(seed);
    for (const Textbook& row : textbook(job)) {
      EXPECT_FALSE(row.name.empty() || row.formula.empty() || row.latex.empty() || row.source.empty());
      EXPECT_FALSE(row.assumptions.empty() || row.reference_of.empty() || row.unit.empty()) << row.name;
      EXPECT_GT(row.bytes, 0) << row.name;
      // A lone layer's input is the embedding's, and of layers that are frozen from below nothing is kept.
      if (job.description.layers == 1 || !job.recipe.freeze.patterns.empty()) continue;
      EXPECT_GT(row.reference, 0) << row.name << " seed " << seed;
    }
  }
}

}  // namespace
}  // namespace peakmem
