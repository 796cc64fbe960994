#include <string_view>
#include <vector>

#include "api/request_of.h"
#include "report/report_json.h"
#include "request/bare_model.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

/// A size that was understood; `option` changes it.
struct SizeLine {
  std::string_view name;
  int64_t value = 0;
};

std::vector<SizeLine> size_lines(const Job& job) {
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  const Description& eyes = d.tower ? *d.tower : d;
  return {{"layers", d.layers},
          {"decoder_layers", d.decoder_layers},
          {"hidden", d.hidden},
          {"embedding", d.embedding},
          {"heads", d.heads},
          {"kv_heads", d.kv_heads},
          {"head_dim", d.head_dim},
          {"ffn", d.ffn},
          {"vocab", d.vocab},
          {"positions", d.positions},
          {"window", d.window},
          {"experts", d.experts},
          {"experts_per_token", d.experts_per_token},
          {"shared_ffn", d.shared_ffn},
          {"labels", d.labels},
          {"token_types", d.token_types},
          {"buckets", d.buckets},
          {"image", eyes.image},
          {"patch", eyes.patch},
          {"channels", eyes.channels},
          {"batch", r.batch},
          {"seq", r.seq},
          {"target_seq", r.target_seq},
          {"images", r.images},
          {"image_tokens", d.image_tokens}};
}

std::string_view task_of(const Description& description) {
  for (const TaskRow& row : task_rows())
    if (row.task == description.task) return row.name;
  return {};
}

std::string config_json(const Request& request) {
  const Description& d = request.job.description;
  JsonWriter out;
  begin_answer(out, "config", request);
  out.member("family", d.family);
  out.member("task", task_of(d));
  for (const SizeLine& line : size_lines(request.job)) out.member(line.name, line.value);
  out.member("learned_positions", d.learned_positions);
  out.member("tied", d.tied);
  out.member("gated", d.gated);
  out.member("embedding_dropout", d.embedding_dropout);
  out.member("hidden_dropout", d.hidden_dropout);
  out.member("attention_dropout", d.attention_dropout);
  out.key("changed_by");
  out.begin_list();
  for (const std::string_view option : size_options(*find_family(d.family))) out.value(option);
  out.end_list();
  end_answer(out, request);
  return std::move(out).text();
}

std::string config_text(const Request& request, const Style& style) {
  Page page(style);
  page.line(page.strong(request.name) + " · " + request.job.description.family + " · " +
            std::string(task_of(request.job.description)));
  for (const SizeLine& line : size_lines(request.job))
    if (line.value > 0) page.line("  " + left(line.name, 20) + right(grouped(line.value), 12));
  for (const std::string& warning : request.warnings) page.paragraph("  ", warning);
  return std::move(page).text();
}

}  // namespace

Result<Answer> answer_config(const Question& question) {
  const Result<Request> request = request_of(question.subject, Command::kConfig);
  if (!request) return request.error();
  if (wants_json(question)) return json_answer(config_json(*request));
  return Answer{config_text(*request, question.style)};
}

}  // namespace peakmem
