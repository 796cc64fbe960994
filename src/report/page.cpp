#include "report/page.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace peakmem {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

}  // namespace

size_t columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string left(std::string_view text, size_t width) {
  const size_t taken = columns(text);
  return std::string(text) + std::string(taken < width ? width - taken : 0, ' ');
}

std::string right(std::string_view text, size_t width) {
  const size_t taken = columns(text);
  return std::string(taken < width ? width - taken : 0, ' ') + std::string(text);
}

std::string_view first_columns(std::string_view text, size_t width) {
  size_t end = 0;
  for (size_t kept = 0; end < text.size(); ++end)
    if (begins_character(text[end]) && ++kept > width) break;
  return text.substr(0, end);
}

std::string shortened(std::string_view text, size_t width) {
  const size_t taken = columns(text);
  if (taken <= width) return std::string(text);
  const size_t tail = width / 2;
  const std::string_view before = first_columns(text, taken - tail);
  return std::string(first_columns(text, width - std::min(width, tail + 1))) + "…" +
         std::string(text.substr(before.size()));
}

std::vector<std::string> wrapped(std::string_view text, size_t width) {
  std::vector<std::string> lines = {""};
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::string& last = lines.back();
    if (!last.empty() && columns(last) + 1 + columns(word) > width)
      lines.emplace_back(word);
    else
      last += (last.empty() ? "" : " ") + std::string(word);
  }
  return lines;
}

std::string bar(double share, size_t width) {
  static constexpr std::array<const char*, 8> kPart = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (!(share > 0)) return {};
  const auto eighths = static_cast<size_t>(std::lround(std::min(share, 1.0) * 8 * static_cast<double>(width)));
  std::string text;
  for (size_t i = 0; i < eighths / 8; ++i) text += "█";
  return eighths == 0 ? kPart[1] : text + kPart[eighths % 8];
}

void Page::line(std::string_view text) {
  const size_t end = text.find_last_not_of(' ');
  text_ += text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  text_ += '\n';
}

void Page::paragraph(std::string_view first, std::string_view text) {
  const size_t indent = columns(first);
  bool is_first = true;
  for (const std::string& each : wrapped(text, width() > indent + 20 ? width() - indent : 20)) {
    line((is_first ? std::string(first) : std::string(indent, ' ')) + each);
    is_first = false;
  }
}

std::string Page::fitted(std::string_view name, size_t width) const {
  return style_.whole_names ? std::string(name) : shortened(name, width);
}

void Page::heading(std::string_view text) {
  line();
  line(strong(text));
}

std::string Page::painted(std::string_view text, std::string_view code) const {
  if (!style_.colour || text.empty()) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace peakmem
