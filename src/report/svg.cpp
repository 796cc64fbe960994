#include "report/svg.h"

#include <cstdint>

namespace peakmem {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else if (static_cast<unsigned char>(c) >= 32)
      result += c;
  }
  return result;
}

std::string pixels(double place) {
  const auto tenths = static_cast<int64_t>(place * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string svg_text(double x, double y, std::string_view anchor, std::string_view text) {
  return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" + std::string(anchor) + "\">" +
         escaped(text) + "</text>\n";
}

std::string svg_line(double x1, double y1, double x2, double y2) {
  return "<line x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" + pixels(y2) +
         "\" stroke=\"#ddd\"/>\n";
}

std::string begin_plot(std::string_view title) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(plot::kWidth) + "\" height=\"" +
         std::to_string(plot::kHeight) + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
         "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" + svg_text(plot::kLeft, 24, "start", title);
}

}  // namespace peakmem
