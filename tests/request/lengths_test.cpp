#include "request/lengths.h"

#include <gtest/gtest.h>

#include <cmath>

namespace peakmem {
namespace {

std::vector<int64_t> seqs(const std::vector<BatchLength>& lengths) {
  std::vector<int64_t> all;
  for (const BatchLength& each : lengths) all.push_back(each.seq);
  return all;
}

TEST(Lengths, ReadsWhatAFileHolds) {
  for (const char* text : {"3,1,2", "[3, 1, 2]", "3\n1\n2\n", " 3\t1  2 "}) {
    const Result<RowLengths> lengths = parse_row_lengths(text);
    ASSERT_TRUE(lengths) << text;
    EXPECT_EQ(lengths->rows, (std::vector<int64_t>{1, 2, 3}));
  }
}

TEST(Lengths, RefusesWhatIsNone) {
  for (const char* text : {"", "a", "1.5", "0", "-3", "p50=512", "p99=4,p50=8", "p50=8,p99=4", "p50=1,q=2", "p=1,p2=2",
                           "p100=3,p50=1", "1e99", "p50=1,p60=2,p70=3"})
    EXPECT_FALSE(parse_row_lengths(text)) << text;
}

// Of a hundred rows 1 to 100 a batch of one is a row.
TEST(Lengths, ABatchOfOneIsARow) {
  RowLengths lengths;
  for (int64_t i = 1; i <= 100; ++i) lengths.rows.push_back(i);
  EXPECT_EQ(seqs(batch_lengths(lengths, 1, 1000)), (std::vector<int64_t>{50, 90, 99, 100}));
}

// Half of the batches of two rows have both among the shortest 1 / sqrt(2).
TEST(Lengths, TheLongestOfSeveralRows) {
  RowLengths lengths;
  for (int64_t i = 1; i <= 1000; ++i) lengths.rows.push_back(i);
  EXPECT_EQ(seqs(batch_lengths(lengths, 2, 100000)), (std::vector<int64_t>{708, 949, 995, 1000}));
}

TEST(Lengths, AreCutAndNamedOnce) {
  RowLengths lengths;
  lengths.rows = {10, 20, 30, 40};
  const std::vector<BatchLength> all = batch_lengths(lengths, 1, 25);
  EXPECT_EQ(seqs(all), (std::vector<int64_t>{20, 25}));
  EXPECT_EQ(all.back().share, 1);
}

TEST(Lengths, PercentilesAreMet) {
  const Result<RowLengths> lengths = parse_row_lengths("p50=512,p99=4096");
  ASSERT_TRUE(lengths);
  EXPECT_EQ(lengths->at(0.5), 512);
  EXPECT_EQ(lengths->at(0.99), 4096);
  EXPECT_EQ(batch_lengths(*lengths, 4, 8192).back().seq, 8192);
}

}  // namespace
}  // namespace peakmem
