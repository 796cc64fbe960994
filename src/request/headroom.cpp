#include "request/headroom.h"

#include "size/bytes.h"

namespace peakmem {
namespace {

Result<int64_t> bytes_of(std::string_view text, int64_t memory_bytes) {
  if (!text.ends_with('%')) return parse_bytes(text, "--headroom");
  const Result<double> share = parse_share(text, "--headroom");
  if (!share) return share.error();
  return static_cast<int64_t>(*share * static_cast<double>(memory_bytes));
}

}  // namespace

std::optional<Error> read_headroom(const Options& asked, Request& request) {
  const std::string* text = asked.text("headroom");
  if (text == nullptr) return std::nullopt;
  if (request.gpu == nullptr)
    return Error{"--headroom", "is what to leave free on a GPU, and no --gpu is named", "add --gpu, or drop it"};
  const Result<int64_t> bytes = bytes_of(*text, request.gpu->memory_bytes);
  if (!bytes) return bytes.error();
  if (*bytes >= request.gpu->memory_bytes)
    return Error{"--headroom",
                 in_binary_units(*bytes) + " is all that --gpu " + std::string(request.gpu->name) +
                     " has: " + in_binary_units(request.gpu->memory_bytes),
                 "leave room for the run"};
  request.headroom_bytes = *bytes;
  return std::nullopt;
}

}  // namespace peakmem
