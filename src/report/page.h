// Text laid out in columns for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace peakmem {

/// How wide a page is and whether it may use colours.
struct Style {
  size_t width = 88;  // 80 to 100 reads well
  bool colour = false;
  bool whole_names = false;  // long names are not cut, where nobody reads columns: files and pipes
};

/// Columns a UTF-8 text takes; every character that is printed here takes one.
size_t columns(std::string_view text);
std::string left(std::string_view text, size_t width);   // padded on its right
std::string right(std::string_view text, size_t width);  // padded on its left
/// At most `width` columns: both ends are kept, since names differ there and lines are indented.
std::string shortened(std::string_view text, size_t width);
/// The first `width` columns.
std::string_view first_columns(std::string_view text, size_t width);
/// Broken at spaces into lines of at most `width` columns.
std::vector<std::string> wrapped(std::string_view text, size_t width);
/// A bar of `share` of `width` columns, in eighths.
std::string bar(double share, size_t width);

/// Lines that are added one by one.
class Page {
 public:
  explicit Page(const Style& style) : style_(style) {}

  size_t width() const { return style_.width; }
  bool whole_names() const { return style_.whole_names; }
  /// A name as it stands or shortened, as the style has it.
  std::string fitted(std::string_view name, size_t width) const;
  void line(std::string_view text = {});
  /// `first`, then `text` wrapped beside it.
  void paragraph(std::string_view first, std::string_view text);
  void heading(std::string_view text);
  std::string strong(std::string_view text) const { return painted(text, "1"); }
  std::string faint(std::string_view text) const { return painted(text, "2"); }
  std::string good(std::string_view text) const { return painted(text, "32"); }
  std::string bad(std::string_view text) const { return painted(text, "31"); }
  std::string bar_of(double share, size_t width) const { return painted(bar(share, width), "36"); }

  std::string text() && { return std::move(text_); }

 private:
  std::string painted(std::string_view text, std::string_view code) const;

  Style style_;
  std::string text_;
};

}  // namespace peakmem
