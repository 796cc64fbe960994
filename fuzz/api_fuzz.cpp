// Any bytes as a request: the response is JSON, an answer or an error that says what; never a crash, never a hang.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/answer.h"
#include "format/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const std::string response = answer({reinterpret_cast<const char*>(data), size});
  const Result<Value> said = parse_json(response);
  if (!said || said->kind != Value::Kind::kObject) std::abort();
  const Value* error = said->find("error");
  if (error == nullptr) {
    if (said->find("schema") == nullptr) std::abort();
    return 0;
  }
  const Value* problem = error->find("problem");
  if (problem == nullptr || problem->string.empty()) std::abort();
  return 0;
}
