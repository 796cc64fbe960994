// The name somebody probably meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace peakmem {

/// Insertions, deletions, replacements and swaps of neighbours that make one name of the other. Letters' case, and
/// whether words are joined by `-`, `_` or a space, make no difference.
size_t edit_distance(std::string_view a, std::string_view b);

/// The known name with the smallest distance, the first of equals; none if it is further off than a slip of the hand.
std::optional<std::string_view> nearest(std::string_view name, std::span<const std::string_view> known);

/// `did you mean "llama"?` as an Error's hint; where nothing is near, the known names: `known: bert, gpt2, llama`.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> known);

}  // namespace peakmem
