#include "launch/shell.h"

#include <gtest/gtest.h>

#include "launch/arithmetic.h"

namespace peakmem {
namespace {

/// The words of every command, joined by `|`, commands by `;`; then what is unresolved.
std::string read(std::string_view text) {
  const Result<ShellScript> script = read_shell(text);
  if (!script) return script.error().field + ": " + script.error().problem;
  std::string all;
  for (const ShellCommand& command : script->commands) {
    all += all.empty() ? "" : ";";
    for (size_t i = 0; i < command.words.size(); ++i) all += (i > 0 ? "|" : "") + command.words[i];
  }
  for (const std::string& name : script->unresolved) all += " ?" + name;
  return all;
}

TEST(ShellTest, VariablesDefaultsAndArithmetic) {
  EXPECT_EQ(read("A=2\nB=$((A * 3 + 1))\nrun $A ${B} ${C:-x} ${1:-7} $(expr 16 / $A)"), "run|2|7|x|7|8");
  EXPECT_EQ(read("N=${NODES:-$((1+1))}; run \"$N\""), "run|2");
  EXPECT_EQ(read("run $UNSET"), "run|$UNSET ?$UNSET");
  EXPECT_EQ(read("run $(date)"), "run|$(date) ?$(date)");
}

TEST(ShellTest, ArraysAndSplitting) {
  EXPECT_EQ(read("A=(--x 1 # note\n \"--y 2\")\nA+=(--z)\nrun ${A[@]}"), "run|--x|1|--y|2|--z");
  EXPECT_EQ(read("A=(--x \"a b\")\nrun \"${A[@]}\""), "run|--x|a b");
  EXPECT_EQ(read("A=\" --x 1\n --y\"\nrun $A \"$A\""), "run|--x|1|--y| --x 1\n --y");
}

TEST(ShellTest, LinesQuotesAndOperators) {
  EXPECT_EQ(read("run \\\n  --a 'x y' --b=\"z\" # rest\nnext"), "run|--a|x y|--b=z;next");
  EXPECT_EQ(read("run --a 2>&1 | tee log > out && more"), "run|--a;tee|log;more");
  EXPECT_EQ(read("set -eu\nexport X=1\nif [ $X ]; then run $X; fi"), "set|-eu;run|1 ?if");
}

TEST(ShellTest, WhatDoesNotEndIsRefused) {
  EXPECT_EQ(read("a\nrun 'x"), "line 2: has a ' that does not end");
  EXPECT_EQ(read("A=(1 2"), "line 1: has a ( that does not end");
}

TEST(ArithmeticTest, WholeNumbers) {
  const auto none = [](std::string_view) { return std::optional<int64_t>(); };
  EXPECT_EQ(evaluate_integer("3 * 8", none), 24);
  EXPECT_EQ(evaluate_integer("-(2 + 3) * 4 // 3 % 4", none), -2);
  EXPECT_EQ(evaluate_integer("1_000", none), 1000);
  for (const char* text : {"", "x", "1 +", "2 ** 3", "1 / 0", "9223372036854775807 + 1", "(1", "1 2"})
    EXPECT_EQ(evaluate_integer(text, none), std::nullopt) << text;
}

}  // namespace
}  // namespace peakmem
