#include "report/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "format/json.h"
#include "report/ledger_text.h"
#include "report/report_json.h"
#include "report/tables.h"

namespace peakmem {
namespace {

Request request() {
  Result<NamedConfig> model = shipped_config("gpt2");
  Result<Request> made = make_request(&*model, {{"gpu", "t4"}, {"accumulate", "2"}}, Command::kEstimate);
  EXPECT_TRUE(made);
  return *made;
}

/// A report with small numbers that a reader can add up.
Report small_report() {
  constexpr int64_t kMiB = int64_t{1} << 20;
  Report report;
  report.model = "tiny";
  report.parameters = report.trainable = 1234567;
  report.tensor_bytes = 15 * kMiB;
  report.allocated_bytes = 16 * kMiB;
  report.reserved = {16 * kMiB, 18 * kMiB, 24 * kMiB, "segments"};
  report.device = {300 * kMiB, 400 * kMiB, 500 * kMiB, "context"};
  report.phase = "backward";
  report.allocated_phase = "backward";
  report.first_step_bytes = 12 * kMiB;
  report.first_step_phase = "backward";
  report.phases = {{0, -1, "model", 0, 4 * kMiB, 4 * kMiB},
                   {1, 0, "forward", 4 * kMiB, 11 * kMiB, 10 * kMiB},
                   {1, 0, "backward", 10 * kMiB, 12 * kMiB, 8 * kMiB},
                   {2, 0, "forward", 6 * kMiB, 13 * kMiB, 12 * kMiB},
                   {2, 0, "backward", 12 * kMiB, 15 * kMiB, 10 * kMiB}};
  report.ledger = {{"weights", "h.*.fc.weight", 2, 4 * kMiB, 4 * kMiB, "a parameter"},
                   {"activations", "h.*.mlp: mul", 2, 6 * kMiB, 6 * kMiB, "kept"},
                   {"activations", "h.*.mlp: tanh", 2, 2 * kMiB, 2 * kMiB, "kept"},
                   {"temporaries", "loss: mm", 1, 3 * kMiB, 3 * kMiB, "alive"},
                   {"workspace", "cuBLAS", 1, kMiB, kMiB, "handles"}};
  report.fits = Verdict{"t4", 450 * kMiB, 0, true, "tight"};
  report.assumptions = {"batch: 8"};
  report.warnings = {"seq is long"};
  return report;
}

TEST(ReportText, SaysTheNumbers) {
  const std::vector<Knob> knobs = {{"--checkpointing full", int64_t{4} << 20}};
  const std::string text = report_text(small_report(), knobs, request(), {});
  for (const char* part :
       {"tiny · 1,234,567 parameters · causal-lm", "Peak: 16.00 MiB, in the backward of step 2", "15.00 MiB", "tight",
        "50.00 MiB to spare", "activations", "8.00 MiB", "50.0 %", "h.*.mlp ×4", "steady step",
        "12.00 MiB       15.00 MiB  ← the peak", "--checkpointing full", "25.0 %", "batch: 8", "seq is long"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(ReportText, KeepsItsWidth) {
  for (const size_t width : {size_t{80}, size_t{100}}) {
    std::istringstream lines(report_text(small_report(), {}, request(), {width, false}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(columns(line), width) << line;
  }
}

TEST(ReportText, HasColoursOnlyIfTold) {
  EXPECT_NE(report_text(small_report(), {}, request(), {88, true}).find("\x1b["), std::string::npos);
}

TEST(Ledger, SumsToThePeak) {
  const Report report = small_report();
  int64_t bytes = 0;
  for (const LedgerSum& sum : sum_categories(report)) bytes += sum.bytes;
  EXPECT_EQ(bytes, report.allocated_bytes);
  ASSERT_EQ(sum_modules(report, "activations").size(), 1U);
  EXPECT_EQ(sum_modules(report, "activations")[0].name, "h.*.mlp");
}

TEST(Ledger, GoldenBars) {
  Page page({80, false});
  write_ledger(page, small_report());
  EXPECT_EQ(std::move(page).text(),
            "  activations                          8.00 MiB   50.0 %  ███████████\n"
            "    h.*.mlp ×4                         8.00 MiB   50.0 %  ███████████\n"
            "  weights                              4.00 MiB   25.0 %  █████▌\n"
            "    h.*.fc.weight ×2                   4.00 MiB   25.0 %  █████▌\n"
            "  temporaries                          3.00 MiB   18.8 %  ████▏\n"
            "    loss                               3.00 MiB   18.8 %  ████▏\n"
            "  workspace                            1.00 MiB    6.2 %  █▍\n"
            "    cuBLAS                             1.00 MiB    6.2 %  █▍\n");
}

TEST(Page, MeasuresCharacters) {
  EXPECT_EQ(columns("⌈T/32⌉ · é"), 10U);
  EXPECT_EQ(left("é", 3), "é  ");
  EXPECT_EQ(right("é", 3), "  é");
  EXPECT_EQ(shortened("abcdef", 4), "a…ef");
  EXPECT_EQ(shortened("abc", 4), "abc");
  EXPECT_EQ(bar(0.5, 4), "██");
  EXPECT_EQ(bar(0, 4), "");
  EXPECT_EQ(bar(1e-9, 4), "▏");
  EXPECT_EQ(bar(7, 4), "████");
  EXPECT_EQ(wrapped("aa bb cc", 5), (std::vector<std::string>{"aa bb", "cc"}));
}

TEST(Page, CutsNamesInTheMiddle) {
  EXPECT_EQ(shortened("    model.layers.*.post_attention_layernorm ×64", 30), "    model.laye…n_layernorm ×64");
  EXPECT_EQ(columns(shortened("    model.layers.*.post_attention_layernorm ×64", 31)), 31U);
  EXPECT_EQ(shortened("abcdef", 1), "…");
  EXPECT_EQ(first_columns("⌈T⌉ é", 2), "⌈T");
  EXPECT_EQ(first_columns("é", 2), "é");
}

TEST(Ledger, KeepsWholeNamesInFilesAndPipes) {
  Report report = small_report();
  report.ledger[1].name = "encoder.layers.*.a_name_that_is_longer_than_its_column: mul";
  for (const bool whole : {true, false}) {
    Page page({80, false, whole});
    write_ledger(page, report);
    const std::string text = std::move(page).text();
    EXPECT_EQ(text.find("    encoder.layers.*.a_name_that_is_longer_than_its_column ×2") != std::string::npos, whole)
        << text;
    EXPECT_EQ(text.find("…") == std::string::npos, whole) << text;
  }
}

TEST(Tables, AreOneRowEachWithoutSources) {
  for (const Table& table : {models_table(), gpus_table(), optimizers_table(), families_table()}) {
    const std::string text = table_text(table, false, {});
    EXPECT_EQ(static_cast<size_t>(std::ranges::count(text, '\n')), table.rows.size() + 1) << table.name;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(columns(line), 88U) << line;
    EXPECT_NE(table_text(table, true, {}).find("\n    source: "), std::string::npos) << table.name;
  }
}

TEST(ReportJson, HasTheSchemasMembersInOrder) {
  const Result<Value> json = parse_json(report_json(small_report(), {}));
  ASSERT_TRUE(json);
  std::string names;
  for (const Member& member : json->members) names += member.name + " ";
  EXPECT_EQ(
      names,
      "schema model parameters peak first_step phases categories ledger fits failure knobs assumptions warnings ");
  EXPECT_EQ(json->find("peak")->find("tensor_bytes")->integer, int64_t{15} << 20);
  EXPECT_EQ(json->find("fits")->find("verdict")->string, "tight");
  EXPECT_EQ(json->find("ledger")->items.size(), 5U);
}

TEST(Tables, AreJsonToo) {
  for (const Table& table : {models_table(), gpus_table(), optimizers_table(), families_table()}) {
    const Result<Value> json = parse_json(table_json(table));
    ASSERT_TRUE(json) << table.name;
    EXPECT_EQ(json->find(table.name)->items.size(), table.rows.size());
    const auto source = std::find_if(table.columns.begin(), table.columns.end(),
                                     [](const Column& column) { return column.name == std::string_view("source"); });
    ASSERT_NE(source, table.columns.end()) << table.name;
    for (const auto& row : table.rows) {
      ASSERT_EQ(row.size(), table.columns.size());
      EXPECT_FALSE(row[static_cast<size_t>(source - table.columns.begin())].text.empty())
          << table.name << " " << row[0].text << " has no source";
    }
    EXPECT_FALSE(table_text(table, false, {}).empty());
  }
}

}  // namespace
}  // namespace peakmem
