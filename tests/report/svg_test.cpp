#include "report/svg.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Svg, TextIsNoMarkup) {
  EXPECT_EQ(escaped("a&b <c> \"d\"\n"), "a&amp;b &lt;c&gt; &quot;d&quot;");
  EXPECT_NE(svg_text(1, 2, "end", "R&D.json").find(">R&amp;D.json</text>"), std::string::npos);
  EXPECT_NE(begin_plot("x < y").find("x &lt; y"), std::string::npos);
}

TEST(Svg, PlacesAreTenthsOfAPixel) { EXPECT_EQ(pixels(12.375), "12.3"); }

}  // namespace
}  // namespace peakmem
