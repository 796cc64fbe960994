#include "request/option_checks.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace peakmem {
namespace {

/// A command that takes the option.
Command command_of(const OptionRow& row) {
  for (uint16_t bit = 1; bit != 0; bit = static_cast<uint16_t>(bit << 1))
    if ((row.commands & bit) != 0) return static_cast<Command>(bit);
  ADD_FAILURE() << row.name << " is of no command";
  return Command::kEstimate;
}

TEST(OptionChecks, DefaultsPassTheirOwnCheck) {
  for (const OptionRow& row : option_rows()) {
    if (row.otherwise.empty()) continue;
    EXPECT_FALSE(check_options({{std::string(row.name), std::string(row.otherwise)}}, command_of(row))) << row.name;
  }
}

TEST(OptionChecks, EveryChoicePasses) {
  for (const OptionRow& row : option_rows()) {
    if (row.choices == nullptr) continue;
    EXPECT_FALSE(row.choices().empty()) << row.name;
    for (const std::string_view name : row.choices())
      EXPECT_FALSE(check_options({{std::string(row.name), std::string(name)}}, command_of(row)))
          << row.name << " " << name;
  }
}

std::string problem(const OptionValues& values, Command command = Command::kEstimate) {
  const std::optional<Error> error = check_options(values, command);
  return error ? error->field + ": " + error->problem + "; " + error->hint : "";
}

TEST(OptionChecks, NameWhatIsWrongAndWhatWasMeant) {
  EXPECT_EQ(problem({{"batc", "4"}}), "--batc: is no option here; did you mean --batch?");
  EXPECT_EQ(problem({{"batch", "4"}, {"batch", "5"}}), "--batch: is given twice; give it once");
  EXPECT_EQ(problem({{"batch", "0"}}), "--batch: must be at least 1, is 0; ");
  EXPECT_EQ(problem({{"precision", "bf61"}}), "--precision: \"bf61\" is not known; did you mean \"bf16\"?");
  EXPECT_EQ(problem({{"clip-grad", "5"}}), "--clip-grad: takes no value, has \"5\"; ");
}

TEST(OptionChecks, BelongToCommands) {
  EXPECT_NE(problem({{"simplify", "5%"}}), "");
  EXPECT_EQ(problem({{"simplify", "5%"}}, Command::kFormula), "");
  EXPECT_NE(problem({{"batch", "4"}}, Command::kTable), "");
}

TEST(OptionChecks, SizesMayBeSymbolsInFormulasOnly) {
  EXPECT_NE(problem({{"layers", "l"}}), "");
  EXPECT_EQ(problem({{"layers", "l"}}, Command::kFormula), "");
  EXPECT_NE(problem({{"accumulate", "a"}}, Command::kFormula), "");
}

TEST(OptionChecks, GpusHaveAliases) { EXPECT_EQ(problem({{"gpu", "v100"}}), ""); }

RC_GTEST_PROP(OptionChecks, AnyTextIsCheckedWithoutTrouble, (const std::string& name, const std::string& text)) {
  check_options({{name, text}}, Command::kFormula);
  for (const OptionRow& row : option_rows()) check_options({{std::string(row.name), text}}, Command::kFormula);
}

}  // namespace
}  // namespace peakmem
