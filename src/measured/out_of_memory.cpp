#include "measured/out_of_memory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace peakmem {
namespace {

constexpr size_t kLongestText = size_t{16} << 20;
constexpr size_t kLongestMessage = 1500;  // from "Tried to allocate" on
constexpr double kLargest = 1e18;         // bytes; sums of some stay in 63 bits

constexpr std::string_view kForm =
    "such as \"CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB ...\"";

/// A size is said before or behind these words. torch 1.13 to 2.0: "(GPU 0; 15.78 GiB total capacity; 10.16 GiB already
/// allocated; 1.19 GiB free; 13.52 GiB reserved in total by PyTorch)"; 2.1 wrote "capacty"
/// (c10/cuda/CUDACachingAllocator.cpp of each).
struct Phrase {
  std::string_view words;
  bool size_follows;
  std::optional<PrintedBytes> OutOfMemory::* field;
};
constexpr std::array kPhrases = std::to_array<Phrase>({
    {"total capacity of", true, &OutOfMemory::capacity},
    {"total capacty of", true, &OutOfMemory::capacity},
    {"total capacity", false, &OutOfMemory::capacity},
    {"is free", false, &OutOfMemory::free},
    {"free;", false, &OutOfMemory::free},
    {"memory in use", false, &OutOfMemory::in_use},
    {"Of the allocated memory", true, &OutOfMemory::allocated},
    {"already allocated", false, &OutOfMemory::allocated},
    {"is reserved by PyTorch but unallocated", false, &OutOfMemory::unallocated},
});
constexpr std::string_view kReserved = "reserved in total by PyTorch";

/// A unit and its bytes.
struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array kUnits = std::to_array<Unit>({{"bytes", 1},
                                                   {"byte", 1},
                                                   {"KiB", 1024},
                                                   {"MiB", 1024. * 1024},
                                                   {"GiB", 1024. * 1024 * 1024},
                                                   {"TiB", 1024. * 1024 * 1024 * 1024}});

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_of_number(char c) { return (c >= '0' && c <= '9') || c == '.'; }

/// "2.00 GiB" at the start of a text.
const Unit* unit_at(std::string_view text) {
  for (const Unit& unit : kUnits)
    if (text.starts_with(unit.name)) return &unit;
  return nullptr;
}

std::optional<PrintedBytes> take_size(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const size_t end = std::min(
      text.size(), static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_of_number) - text.begin()));
  const std::string number(text.substr(0, end));
  text.remove_prefix(end);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const Unit* unit = unit_at(text);
  const auto points = std::count(number.begin(), number.end(), '.');
  if (unit == nullptr || number.size() > 20 || points > 1 || number.size() == static_cast<size_t>(points))
    return std::nullopt;
  const size_t point = number.find('.');
  double last = unit->bytes;  // of the last digit
  for (size_t i = point; i != std::string::npos && i + 1 < number.size(); ++i) last /= 10;
  const double bytes = std::strtod(number.c_str(), nullptr) * unit->bytes;
  if (bytes > kLargest) return std::nullopt;
  return PrintedBytes{static_cast<int64_t>(bytes), unit->bytes == 1 ? 0 : static_cast<int64_t>(last / 2) + 1};
}

/// "2.00 GiB" at the end of a text.
std::optional<PrintedBytes> size_before(std::string_view text) {
  constexpr size_t kLongestSize = 40;
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  size_t begin = text.size();
  while (begin > 0 && text.size() - begin < kLongestSize && !is_of_number(text[begin - 1])) --begin;
  while (begin > 0 && text.size() - begin < kLongestSize && is_of_number(text[begin - 1])) --begin;
  return take_size(text.substr(begin));
}

std::optional<PrintedBytes> find_size(std::string_view text, std::string_view words, bool size_follows) {
  for (size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1))
    if (auto size = size_follows ? take_size(text.substr(at + words.size())) : size_before(text.substr(0, at)))
      return size;
  return std::nullopt;
}

/// One space for line ends, of which logs have many.
std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text)
    if (!is_space(c))
      line += c;
    else if (line.empty() || line.back() != ' ')
      line += ' ';
  return line;
}

}  // namespace

Result<OutOfMemory> read_out_of_memory(std::string_view text, std::string_view field) {
  constexpr std::string_view kTried = "Tried to allocate";
  if (text.size() > kLongestText) return Error{std::string(field), "is longer than 16 MiB", std::string(kForm)};
  const std::string line = on_one_line(text);
  const size_t at = line.find(kTried);
  if (at == std::string::npos)
    return Error{std::string(field), "has no \"Tried to allocate\", so it is not PyTorch's message about memory",
                 std::string(kForm)};
  std::string_view message = std::string_view(line).substr(at);
  if (const size_t next = message.find(kTried, 1); next != std::string_view::npos) message = message.substr(0, next);
  message = message.substr(0, kLongestMessage);
  const auto tried = take_size(message.substr(kTried.size()));
  if (!tried || tried->bytes == 0)
    return Error{std::string(field), "has no size behind \"Tried to allocate\"", std::string(kForm)};
  OutOfMemory read;
  read.tried = *tried;
  for (const Phrase& phrase : kPhrases)
    if (!(read.*phrase.field)) read.*phrase.field = find_size(message, phrase.words, phrase.size_follows);
  const auto reserved = find_size(message, kReserved, false);
  if (!read.unallocated && reserved && read.allocated && reserved->bytes >= read.allocated->bytes)
    read.unallocated = PrintedBytes{reserved->bytes - read.allocated->bytes, reserved->slack + read.allocated->slack};
  return read;
}

}  // namespace peakmem
