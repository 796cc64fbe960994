// Pieces of pictures. Places are pixels from the upper left corner.
#pragma once

#include <string>
#include <string_view>

namespace peakmem {

/// The picture of one size against another, and the box of the points within it.
namespace plot {
inline constexpr int kWidth = 720;
inline constexpr int kHeight = 420;
inline constexpr int kLeft = 90;
inline constexpr int kTop = 50;
inline constexpr int kRight = 690;
inline constexpr int kBottom = 360;
}  // namespace plot

/// Text as it stands in XML; control characters have no place there and are left out.
std::string escaped(std::string_view text);
/// In tenths of a pixel.
std::string pixels(double place);
/// `anchor`: "start", "middle" or "end".
std::string svg_text(double x, double y, std::string_view anchor, std::string_view text);
/// A line of the grid.
std::string svg_line(double x1, double y1, double x2, double y2);
/// A white plot with its title; ends with "</svg>\n".
std::string begin_plot(std::string_view title);

}  // namespace peakmem
