#include "io/answer.h"

#include <optional>
#include <utility>

#include "estimate/estimate.h"
#include "io/inquiry.h"
#include "io/json.h"
#include "io/json_writer.h"
#include "io/report_json.h"

namespace peakmem {
namespace {

std::string error_response(const Error& error) {
  JsonWriter out(0);
  out.begin_object();
  out.key("error");
  out.begin_object();
  out.member("field", error.field);
  out.member("problem", error.problem);
  out.member("hint", error.hint);
  out.end_object();
  out.end_object();
  return std::move(out).text();
}

/// The options of a request: an object of texts, numbers and flags.
Result<OptionValues> read_options(const Value& request) {
  OptionValues options;
  const Value* object = request.find("options");
  if (object == nullptr) return options;
  if (object->kind != Value::Kind::kObject) return Error{"options", "must be an object", "such as {\"batch\": 4}"};
  for (const auto& [name, value] : object->members) {
    if (value.kind == Value::Kind::kString) {
      options.push_back({name, value.string});
    } else if (value.kind == Value::Kind::kInteger) {
      options.push_back({name, std::to_string(value.integer)});
    } else if (value.kind == Value::Kind::kBool) {
      options.push_back({name, value.boolean ? "true" : "false"});
    } else {
      return Error{name, "must be a text, a whole number, true or false", ""};
    }
  }
  return options;
}

/// The model of a request: the name of a shipped one, a config, or none where options describe it.
Result<NamedConfig> read_model(const Value& model) {
  if (model.kind == Value::Kind::kString) return shipped_config(model.string);
  if (model.kind == Value::Kind::kObject) return NamedConfig{"config", model};
  return Error{"model", "must be a shipped model's name or a config", "such as \"gpt2\""};
}

Result<std::string> estimate_json(const Value& request) {
  if (request.kind != Value::Kind::kObject)
    return Error{"request", "must be an object", "such as {\"model\": \"gpt2\"}"};
  const Result<OptionValues> options = read_options(request);
  if (!options) return options.error();
  std::optional<NamedConfig> config;
  if (const Value* model = request.find("model"); model != nullptr && !model->is_null()) {
    Result<NamedConfig> read = read_model(*model);
    if (!read) return read.error();
    config = std::move(*read);
  }
  const Result<Inquiry> inquiry = make_inquiry(config ? &*config : nullptr, *options, Command::kEstimate);
  if (!inquiry) return inquiry.error();
  Result<Report> report = estimate(inquiry->job, inquiry->gpu, inquiry->allocator);
  if (!report) return report.error();
  report->model = inquiry->name;
  report->assumptions = inquiry->assumptions;
  report->warnings = inquiry->warnings;
  return report_json(*report, knobs(inquiry->job, inquiry->gpu, report->allocated_bytes));
}

}  // namespace

std::string answer(std::string_view request) {
  const Result<Value> read = parse_json(request);
  if (!read) return error_response(read.error());
  Result<std::string> response = estimate_json(*read);
  return response ? std::move(*response) : error_response(response.error());
}

}  // namespace peakmem
