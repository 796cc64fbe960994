#include "size/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

namespace peakmem {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kGiB = int64_t{1} << 30;

TEST(Bytes, BinaryUnits) {
  EXPECT_EQ(in_binary_units(0), "0 B");
  EXPECT_EQ(in_binary_units(1023), "1023 B");
  EXPECT_EQ(in_binary_units(1024), "1.00 KiB");
  EXPECT_EQ(in_binary_units(kGiB * 3 / 2), "1.50 GiB");
  EXPECT_EQ(in_binary_units(kGiB - 1), "1.00 GiB");
  EXPECT_EQ(in_binary_units(kGiB - int64_t{6} * 1024 * 1024), "1018.00 MiB");
  EXPECT_EQ(in_binary_units(80 * kGiB), "80.00 GiB");
  EXPECT_EQ(in_binary_units(-kGiB), "-1.00 GiB");
  EXPECT_EQ(in_binary_units(kMax), "8.00 EiB");
  EXPECT_EQ(in_binary_units(kMin), "-8.00 EiB");
}

TEST(Bytes, AsPyTorchPrints) {
  EXPECT_EQ(as_pytorch_prints(512), "512 bytes");
  EXPECT_EQ(as_pytorch_prints(1024), "1024 bytes");
  EXPECT_EQ(as_pytorch_prints(1025), "1.00 KiB");
  EXPECT_EQ(as_pytorch_prints(int64_t{20} * 1024 * 1024), "20.00 MiB");
  EXPECT_EQ(as_pytorch_prints(kGiB), "1024.00 MiB");
  EXPECT_EQ(as_pytorch_prints(kGiB + int64_t{1024} * 1024), "1.00 GiB");
  EXPECT_EQ(as_pytorch_prints(4096 * kGiB), "4096.00 GiB");
}

TEST(Bytes, DecimalUnits) {
  EXPECT_EQ(in_decimal_units(999), "999 B");
  EXPECT_EQ(in_decimal_units(1000), "1.00 kB");
  EXPECT_EQ(in_decimal_units(1'610'612'736), "1.61 GB");
  EXPECT_EQ(in_decimal_units(999'999'999), "1.00 GB");
  EXPECT_EQ(in_decimal_units(kMax), "9.22 EB");
}

TEST(Bytes, Grouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(6291456), "6,291,456");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(1234567, " "), "1 234 567");
  EXPECT_EQ(grouped(kMin), "-9,223,372,036,854,775,808");
}

TEST(Bytes, Percent) {
  EXPECT_EQ(percent(0.1234), "12.3 %");
  EXPECT_EQ(percent(-0.00021, 2), "-0.02 %");
  EXPECT_EQ(percent(1, 0), "100 %");
  EXPECT_EQ(percent(std::nan("")), "n/a");
  EXPECT_EQ(percent(1e300), "n/a");
}

// The exact value is rounded, halves to the even digit: as the C library does.
RC_GTEST_PROP(Bytes, PercentIsWrittenAsPrintfWritesIt, (int32_t numerator, int power)) {
  const double share = std::ldexp(numerator, -((power & 63)));
  const int decimals = (power >> 6) & 7;
  std::array<char, 64> expected = {};
  std::snprintf(expected.data(), expected.size(), "%.*f %%", decimals, share * 100);
  RC_ASSERT(percent(share, decimals) == expected.data());
}

struct Readable {
  const char* text;
  int64_t bytes;
};

class BytesRead : public ::testing::TestWithParam<Readable> {};

TEST_P(BytesRead, Value) {
  const auto bytes = parse_bytes(GetParam().text);
  ASSERT_TRUE(bytes) << bytes.error().problem;
  EXPECT_EQ(*bytes, GetParam().bytes);
}

INSTANTIATE_TEST_SUITE_P(
    All, BytesRead,
    ::testing::Values(Readable{"80GiB", 80 * kGiB}, Readable{"24 GB", 24'000'000'000}, Readable{"512MiB", 536870912},
                      Readable{"1e9", 1'000'000'000}, Readable{"0", 0}, Readable{"1_000_000", 1'000'000},
                      Readable{"1.5GiB", kGiB * 3 / 2}, Readable{"0.1GiB", 107374182}, Readable{" 7 B ", 7},
                      Readable{"1.5e3 kB", 1'500'000}, Readable{"2gib", 2 * kGiB}, Readable{"2 GIB", 2 * kGiB},
                      Readable{"3gb", 3'000'000'000}, Readable{"3 KB", 3000}, Readable{"1.5", 2},
                      Readable{"1234.5e-2", 12}, Readable{"5e-9GB", 5}, Readable{"1E3", 1000}, Readable{"1e+3", 1000},
                      Readable{"1EB", 1'000'000'000'000'000'000}, Readable{"1EiB", int64_t{1} << 60},
                      Readable{"1e18", 1'000'000'000'000'000'000}, Readable{"0e9999", 0}, Readable{"1e-9999", 0},
                      Readable{"9223372036854775807", kMax}, Readable{".5 kB", 500}, Readable{"2. kB", 2000},
                      Readable{"0.000000001 GB", 1}, Readable{"79.123456789 GiB", 84958164814}));

TEST(Bytes, Refusals) {
  const std::string texts =
      "|| |GiB|-1|-5GiB|80G|80g|1M|24Gb|24 Gib|1 XB|0x10|1e|1e GiB|nan|inf|1..5|1,000|1GiB1|9223372036854775808|8EiB|"
      "1e19|1e99999999999|9.3EB|1 GB GB|_1|";
  for (size_t start = 1; start < texts.size(); start = texts.find('|', start) + 1) {
    const std::string text = texts.substr(start, texts.find('|', start) - start);
    const auto bytes = parse_bytes(text, "--memory");
    EXPECT_FALSE(bytes) << text;
    EXPECT_EQ(bytes.error().field, "--memory");
    EXPECT_FALSE(bytes.error().hint.empty());
  }
}

TEST(Bytes, ErrorsSayWhatToDo) {
  EXPECT_EQ(parse_bytes("80G").error().problem, "\"80G\" could mean GiB (2^30) or GB (10^9)");
  EXPECT_EQ(parse_bytes("80 Gb").error().problem, "\"80 Gb\" has the unknown unit \"Gb\"");
}

TEST(BytesProperty, WholeUnitsReadBack) {
  for (int64_t gib = 1; gib < 1000; ++gib) {
    EXPECT_EQ(*parse_bytes(in_binary_units(gib * kGiB)), gib * kGiB);
    EXPECT_EQ(*parse_bytes(in_decimal_units(gib * 1'000'000'000)), gib * 1'000'000'000);
    EXPECT_EQ(*parse_bytes(grouped(gib * kGiB, "_")), gib * kGiB);
  }
}

}  // namespace
}  // namespace peakmem
