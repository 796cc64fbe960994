#include "report/report_json.h"

#include <algorithm>
#include <cmath>

#include "estimate/ledger.h"
#include "estimate/nccl.h"
#include "format/json_writer.h"
#include "layout/zero_host.h"
#include "size/print.h"

namespace peakmem {
namespace {

void write_range(JsonWriter& out, const char* name, const Range& range) {
  out.key(name);
  out.begin_object();
  out.member("low", range.low);
  out.member("likely", range.likely);
  out.member("high", range.high);
  out.member("why", range.why);
  out.end_object();
}

void write_peak(JsonWriter& out, const Report& report) {
  out.key("peak");
  out.begin_object();
  out.member("tensor_bytes", report.tensor_bytes);
  out.member("allocated_bytes", report.allocated_bytes);
  out.member("reserved_bytes", report.reserved.likely);
  out.member("device_bytes", report.device.likely);
  if (report.managed_bytes > 0) out.member("managed_bytes", report.managed_bytes);
  out.member("phase", report.phase);
  out.member("step", report.step);
  out.member("allocated_phase", report.allocated_phase);
  out.member("allocated_step", report.allocated_step);
  write_range(out, "reserved_range", report.reserved);
  write_range(out, "device_range", report.device);
  out.end_object();
}

void write_phases(JsonWriter& out, const Report& report) {
  out.key("phases");
  out.begin_list();
  for (const PhaseReport& phase : report.phases) {
    out.begin_object();
    out.member("step", phase.step);
    out.member("phase", phase.phase);
    out.member("start_bytes", phase.start_bytes);
    out.member("peak_bytes", phase.peak_bytes);
    out.member("end_bytes", phase.end_bytes);
    if (phase.micro >= 0) out.member("micro", phase.micro);
    out.end_object();
  }
  out.end_list();
}

void write_monomials(JsonWriter& out, Expr formula, const SymbolValues& values) {
  out.key("monomials");
  out.begin_list();
  if (Pool* pool = formula.pool(); pool != nullptr)
    for (const Term& term : terms(formula, values)) out.value(monomial_text(term, *pool));
  else
    out.value("1");
  out.end_list();
}

void write_ledger(JsonWriter& out, const Report& report) {
  const PrintOptions options = {Notation::kText, {}, report.symbol_values};
  write_categories(out, report);
  out.key("ledger");
  out.begin_list();
  for (const LedgerRow& row : report.ledger) {
    out.begin_object();
    out.member("category", row.category);
    out.member("name", row.name);
    out.member("count", row.count);
    out.member("bytes", row.bytes);
    out.member("formula", print(row.formula, options));
    write_monomials(out, row.formula, report.symbol_values);
    out.member("why", row.why);
    out.end_object();
  }
  out.end_list();
}

/// A row's module: what is a parameter's stands under its name, "model.layers.*.mlp.up_proj.weight".
std::string_view module_of(const LedgerRow& row) {
  const std::string_view path = std::string_view(row.name).substr(0, row.name.find(": "));
  const bool is_parameter = row.category == "weights" || row.category == "gradients" || row.category == "optimizer";
  return is_parameter ? path.substr(0, path.rfind('.')) : path;
}

/// What of a module is live at the peak.
int64_t bytes_of(const Report& report, std::string_view module) {
  int64_t bytes = 0;
  for (const LedgerRow& row : report.ledger)
    if (module_of(row) == module) bytes += row.bytes;
  return bytes;
}

int64_t whole(double number) { return std::llround(std::min(number, 9e18)); }

/// Modules that multiply; absent where the ops are known by name alone.
void write_modules(JsonWriter& out, const Report& report) {
  if (report.modules.empty()) return;
  out.key("modules");
  out.begin_list();
  for (const ModuleWork& module : report.modules) {
    out.begin_object();
    out.member("name", module.name);
    out.member("bytes", bytes_of(report, module.name));
    out.member("flops", whole(module.total()));
    for (size_t i = 0; i < kPasses; ++i) out.member(kFlopsNames[i], whole(module.flops[i]));
    out.end_object();
  }
  out.end_list();
}

void write_failure(JsonWriter& out, const std::optional<Failure>& failure) {
  out.key("failure");
  if (!failure) return out.null();
  out.begin_object();
  write_allocation(out, failure->allocation);
  out.member("capacity_bytes", failure->capacity_bytes);
  out.member("free_bytes", failure->free_bytes);
  out.member("approximate", failure->approximate);
  out.end_object();
}

void write_knobs(JsonWriter& out, std::span<const Knob> knobs) {
  out.key("knobs");
  out.begin_list();
  for (const Knob& knob : knobs) {
    out.begin_object();
    out.member("change", knob.change);
    out.member("saves_bytes", knob.saves_bytes);
    out.end_object();
  }
  out.end_list();
}

/// Values below the solution's that do not fit; null where none was found.
void write_gap(JsonWriter& out, const Stretch& gap) {
  out.key("gap");
  if (gap.first == 0) return out.null();
  out.begin_object();
  out.member("first", gap.first);
  out.member("last", gap.last);
  out.end_object();
}

/// Absent where the card is not full.
void write_retries(JsonWriter& out, const std::vector<int32_t>& retries) {
  if (retries.empty()) return;
  out.key("retries");
  out.begin_list();
  for (const int32_t times : retries) out.value(times);
  out.end_list();
}

}  // namespace

void write_allocation(JsonWriter& out, const Allocation& allocation) {
  out.member("step", allocation.step);
  if (allocation.micro >= 0) out.member("micro", allocation.micro);
  out.member("phase", allocation.phase);
  out.member("module", allocation.module);
  out.member("op", allocation.op);
  out.member("bytes", allocation.bytes);
  out.member("tried_bytes", allocation.tried_bytes);
  out.member("allocated_bytes", allocation.allocated_bytes);
  out.member("reserved_bytes", allocation.reserved_bytes);
}

std::string monomial_text(const Term& term, Pool& pool) {
  Term bare = {term.monomial, 1};
  bare.monomial.divisor = 1;
  return print(formula_of(bare, pool));
}

void write_categories(JsonWriter& out, const Report& report) {
  out.key("categories");
  out.begin_object();
  for (const LedgerSum& sum : sum_categories(report)) out.member(sum.name, sum.bytes);
  out.end_object();
}

void write_lines(JsonWriter& out, const char* name, const std::vector<std::string>& lines) {
  out.key(name);
  out.begin_list();
  for (const std::string& line : lines) out.value(line);
  out.end_list();
}

void write_error(JsonWriter& out, const Error& error) {
  out.key("error");
  out.begin_object();
  out.member("field", error.field);
  out.member("problem", error.problem);
  out.member("hint", error.hint);
  out.end_object();
}

void write_sums(JsonWriter& out, const Report& report) {
  out.key("parameters");
  out.begin_object();
  out.member("total", report.parameters);
  out.member("trainable", report.trainable);
  out.end_object();
  write_peak(out, report);
  out.key("first_step");
  out.begin_object();
  out.member("tensor_bytes", report.first_step_bytes);
  out.member("phase", report.first_step_phase);
  out.end_object();
}

void write_fits(JsonWriter& out, const Report& report) {
  out.key("fits");
  if (!report.fits) return out.null();
  out.begin_object();
  out.member("gpu", report.fits->gpu);
  out.member("capacity_bytes", report.fits->capacity_bytes);
  if (report.fits->headroom_bytes > 0) out.member("headroom_bytes", report.fits->headroom_bytes);
  out.member("verdict", report.fits->verdict);
  if (report.fits->context_at_most) out.member("context_at_most_bytes", *report.fits->context_at_most);
  write_retries(out, report.fits->retries);
  out.end_object();
}

void begin_answer(JsonWriter& out, std::string_view name, const Request& request) {
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", request.name);
  out.key(name);
  out.begin_object();
}

void end_answer(JsonWriter& out, const Request& request) {
  out.end_object();
  write_lines(out, "assumptions", request.assumptions);
  write_lines(out, "warnings", request.warnings);
  out.end_object();
}

void write_launch(JsonWriter& out, const LaunchNotes& launch) {
  if (launch.files.empty()) return;
  out.key("launch");
  out.begin_object();
  write_lines(out, "files", launch.files);
  write_lines(out, "used", launch.used);
  write_lines(out, "defaults", launch.defaults);
  write_lines(out, "harmless", launch.harmless);
  write_lines(out, "not_understood", launch.not_understood);
  out.member("command", launch.command);
  out.end_object();
}

/// `lengths`: batches that are padded to their longest row; absent where rows do not differ.
void write_lengths(JsonWriter& out, const Report& report) {
  if (report.lengths.empty()) return;
  out.key("lengths");
  out.begin_list();
  for (const LengthRow& row : report.lengths) {
    out.begin_object();
    out.member("share", row.share);
    out.member("seq", row.seq);
    out.member("tensor_bytes", row.tensor_bytes);
    out.member("device_bytes", row.device_bytes);
    if (!row.verdict.empty()) out.member("verdict", row.verdict);
    out.end_object();
  }
  out.end_list();
}

/// `host`: what the rank keeps there; absent where it keeps nothing.
void write_host(JsonWriter& out, const Job& job) {
  const std::optional<HostMemory> host = host_memory(job);
  if (!host) return;
  out.key("host");
  out.begin_object();
  out.member("pinned_bytes", host->pinned);
  out.member("pageable_bytes", host->pageable);
  out.key("buffers");
  out.begin_list();
  for (const HostBuffers& buffers : host->buffers) {
    out.begin_object();
    out.member("name", buffers.name);
    out.member("bytes", buffers.bytes);
    out.member("taken_bytes", buffers.taken);
    out.member("pinned", buffers.pinned);
    out.end_object();
  }
  out.end_list();
  out.end_object();
}

/// `nccl`: what its communicators take beside PyTorch's allocator; absent where the job has one rank.
void write_nccl(JsonWriter& out, const Job& job) {
  const std::optional<NcclBuffers> buffers = nccl_buffers(job.recipe);
  if (!buffers) return;
  out.key("nccl");
  out.begin_object();
  out.member("communicators", buffers->communicators);
  write_range(out, "bytes", buffers->bytes);
  out.end_object();
}

std::string report_json(const Report& report, std::span<const Knob> knobs, const Job& job) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", report.model);
  write_sums(out, report);
  write_phases(out, report);
  write_ledger(out, report);
  write_modules(out, report);
  write_host(out, job);
  write_lengths(out, report);
  write_nccl(out, job);
  write_fits(out, report);
  write_failure(out, report.failure);
  write_knobs(out, knobs);
  write_launch(out, report.launch);
  write_lines(out, "assumptions", report.assumptions);
  write_lines(out, "warnings", report.warnings);
  out.end_object();
  return std::move(out).text();
}

std::string solution_json(const Solution& solution, const Request& request) {
  JsonWriter out;
  begin_answer(out, "solve", request);
  out.member("for", solution.name);
  if (solution.smallest) out.member("smallest", true);
  out.member("value", solution.value);
  out.member("sure", solution.sure);
  out.member("likely", solution.value);
  out.member("aligned", solution.aligned);
  write_gap(out, solution.gap);
  out.member("peak_bytes", solution.peak_bytes);
  out.member("next_peak_bytes", solution.next_peak_bytes);
  out.member("capacity_bytes", solution.capacity_bytes);
  if (request.headroom_bytes > 0) out.member("headroom_bytes", request.headroom_bytes);
  out.member("gpu", request.gpu == nullptr ? std::string_view() : request.gpu->name);
  out.member("limit", solution.limit);
  out.member("next", solution.next);
  write_failure(out, solution.failure);
  end_answer(out, request);
  return std::move(out).text();
}

}  // namespace peakmem
