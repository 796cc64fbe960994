#include <algorithm>
#include <string>
#include <vector>

#include "api/request_of.h"
#include "report/report_json.h"
#include "size/bytes.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

constexpr int64_t kMostLayers = 10'000;  // each has its own lines

std::string shape_text(const std::vector<int64_t>& sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "" : " × ") + grouped(size);
  return text;
}

std::string parameters_json(const std::vector<BuiltParameter>& parameters, const Request& request) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", request.name);
  out.key("parameters");
  out.begin_list();
  for (const BuiltParameter& each : parameters) {
    out.begin_object();
    out.member("name", each.name);
    out.key("shape");
    out.begin_list();
    for (const int64_t size : each.sizes) out.value(size);
    out.end_list();
    out.member("dtype", name_of(each.dtype));
    out.member("trained", each.trained);
    out.end_object();
  }
  out.end_list();
  out.end_object();
  return std::move(out).text();
}

std::string parameters_text(const std::vector<BuiltParameter>& parameters, const Style& style) {
  Page page(style);
  size_t width = 0;
  for (const BuiltParameter& each : parameters) width = std::max(width, columns(each.name));
  for (const BuiltParameter& each : parameters)
    page.line(left(each.name, width) + "  " + left(name_of(each.dtype), 9) + " " + shape_text(each.sizes) +
              (each.trained ? "" : page.faint(" frozen")));
  return std::move(page).text();
}

}  // namespace

Result<Answer> answer_parameters(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kConfig);
  if (!request) return request.error();
  const Description& d = request->job.description;
  if (std::max(d.layers, d.decoder_layers) > kMostLayers)
    return Error{"layers", "are too many to list: at most " + std::to_string(kMostLayers), {}};
  const std::vector<BuiltParameter> parameters = parameters_of(request->job);
  if (wants_json(question)) return json_answer(parameters_json(parameters, *request));
  return Answer{parameters_text(parameters, question.style)};
}

}  // namespace peakmem
