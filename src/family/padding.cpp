#include "family/padding.h"

#include <algorithm>
#include <array>
#include <string>

namespace peakmem {
namespace {

/// A family whose configs have a padding token without saying so.
struct PaddingRow {
  std::string_view family;
  int64_t token;
};
constexpr auto kUsual = std::to_array<PaddingRow>({{"glm", 151329},
                                                   {"glm4", 151329},
                                                   {"marian", 58100},
                                                   {"modernbert", 50283},
                                                   {"phi3", 32000},
                                                   {"smollm3", 128004},
                                                   {"whisper", 50256}});

/// Those whose embedding has no padding_idx, or always the same.
constexpr auto kWithout =
    std::to_array<std::string_view>({"gpt2", "gpt_bigcode", "gpt_neox", "gptj", "codegen", "falcon", "gpt_neo", "bloom",
                                     "mpt", "mpnet", "t5", "mt5", "umt5", "vit", "beit", "clip", "siglip"});

}  // namespace

std::optional<int64_t> usual_padding(std::string_view family) {
  for (const PaddingRow& row : kUsual)
    if (row.family == family) return row.token;
  return std::nullopt;
}

void check_padding(Fields& fields, const Description& d) {
  const Value* stated = fields.find("pad_token_id");
  const std::optional<int64_t> usual = stated == nullptr ? usual_padding(d.family) : std::nullopt;
  const int64_t token = stated != nullptr ? stated->integer : usual.value_or(0);
  if (token < d.vocab || d.vocab == 0) return;
  if (std::find(kWithout.begin(), kWithout.end(), d.family) != kWithout.end()) return;
  fields.fail("pad_token_id",
              "is " + std::to_string(token) + (usual ? " where a config says nothing," : "") + " of a vocabulary of " +
                  std::to_string(d.vocab) + ", at which PyTorch raises \"Padding_idx must be within num_embeddings\"",
              "set it to a token there is, such as 0");
}

}  // namespace peakmem
