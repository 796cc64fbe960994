#include "request/options.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Options, HaveNamesOfTheirOwnAndHelp) {
  for (const OptionRow& row : option_rows()) {
    EXPECT_EQ(find_option(row.name), &row) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_FALSE(row.group.empty()) << row.name;
    EXPECT_NE(row.commands, 0) << row.name;
    EXPECT_EQ(row.kind == OptionKind::kChoice, row.choices != nullptr) << row.name;
  }
}

}  // namespace
}  // namespace peakmem
