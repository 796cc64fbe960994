// Words of others in a message: in quotes, in a list.
#pragma once

#include <string>
#include <string_view>

namespace peakmem {

/// `"word"`; of a longer text its first 60 characters.
std::string in_quotes(std::string_view text);

/// Makes "bert" into "bert, gpt2".
void add_to_list(std::string& list, std::string_view entry);

/// Texts as "bert, gpt2, llama".
template <class Texts>
std::string list_of(const Texts& texts) {
  std::string list;
  for (const std::string_view text : texts) add_to_list(list, text);
  return list;
}

}  // namespace peakmem
