#include "report/text.h"

#include <algorithm>

#include "estimate/nccl.h"
#include "layout/zero_host.h"
#include "report/ledger_text.h"
#include "size/bytes.h"
#include "size/order.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr size_t kLabel = 13;
constexpr size_t kBytes = 12;

std::string between(const Range& range) { return in_binary_units(range.low) + " to " + in_binary_units(range.high); }

void level(Page& page, const char* name, int64_t bytes, const std::string& what) {
  page.paragraph("  " + left(name, kLabel) + right(in_binary_units(bytes), kBytes) + "  ", what);
}

void write_title(Page& page, const Report& report, const Request& request) {
  std::string task = request.job.recording ? "a trace" : "";
  for (const TaskRow& row : task_rows())
    if (!request.job.recording && row.task == request.job.description.task) task = row.name;
  page.line(page.strong(report.model) + " · " + grouped(report.parameters) + " parameters · " +
            (report.trainable == report.parameters ? "" : grouped(report.trainable) + " trained · ") + task);
  page.line(recipe_line(request.job));
}

/// What the rank keeps on the host beside its card.
void write_host(Page& page, const Request& request) {
  const std::optional<HostMemory> host = host_memory(request.job);
  if (!host) return;
  level(page, "host", host->pinned + host->pageable,
        "of this rank's: " + in_binary_units(host->pinned) + " pinned, each block a power of two, and " +
            in_binary_units(host->pageable) + " pageable");
}

/// What communicators take beside PyTorch's allocator.
void write_nccl(Page& page, const Request& request) {
  const std::optional<NcclBuffers> nccl = nccl_buffers(request.job.recipe);
  if (!nccl) return;
  level(page, "NCCL ~", nccl->bytes.likely,
        between(nccl->bytes) + ", in device's high end only: an estimate of communicators' buffers, here of " +
            std::to_string(nccl->communicators));
}

void write_peak(Page& page, const Report& report) {
  page.heading("Peak: " + in_binary_units(report.allocated_bytes) + ", in " +
               where(report.allocated_phase, report.allocated_step));
  level(page, "tensors", report.tensor_bytes, "exact: the storages that live at that moment");
  level(page, "allocated", report.allocated_bytes,
        "torch.cuda.max_memory_allocated: whole blocks, and what kernels take for themselves");
  level(page, "reserved ~", report.reserved.likely, between(report.reserved) + ": torch.cuda.max_memory_reserved");
  level(page, "device ~", report.device.likely, between(report.device) + ": nvidia-smi");
  if (report.managed_bytes > 0)
    level(page, "managed", report.managed_bytes,
          "in none but device's high end: optimizer states, on the device while there is room, else on the host");
}

/// On a full card the allocator gives back what it caches, which waits for all kernels, and asks again.
void write_retries(Page& page, const std::vector<int32_t>& retries) {
  std::string steps;
  for (size_t i = 0; i < retries.size(); ++i)
    add_to_list(steps, std::to_string(retries[i]) + " in step " + std::to_string(i + 1));
  page.paragraph("  ", "The card is full: the allocator gives back what it caches and asks anew (num_alloc_retries), " +
                           steps + " and each that follows" + (retries.back() > 0 ? ", which makes steps slow" : ""));
}

/// Says at once that no change of the step's sizes would help.
void write_weights_alone(Page& page, const Report& report, int64_t capacity) {
  for (const LedgerSum& sum : sum_categories(report))
    if (sum.name == "weights" && sum.bytes > capacity)
      page.line("  The weights alone take " + in_binary_units(sum.bytes) + " of " + in_binary_units(capacity));
}

void write_verdict(Page& page, const Report& report, const Request& request) {
  if (!report.fits) return;
  const Verdict& verdict = *report.fits;
  const std::string text =
      std::string(request.gpu == nullptr ? verdict.gpu : request.gpu->title) + ": " + verdict.verdict;
  const int64_t left_over = verdict.capacity_bytes - report.device.likely;
  const std::string margin =
      in_binary_units(left_over < 0 ? -left_over : left_over) + (left_over < 0 ? " too much" : " to spare");
  page.heading(verdict.fits ? page.good(text) : page.bad(text));
  page.line("  " + in_binary_units(report.device.likely) + " on the device of " +
            in_binary_units(verdict.capacity_bytes) + ", " + margin);
  write_weights_alone(page, report, verdict.capacity_bytes);
  if (verdict.headroom_bytes > 0) page.line("  " + headroom_text(request));
  if (verdict.context_at_most && request.gpu != nullptr)
    page.paragraph("  ", "The CUDA context decides, of which " + in_binary_units(request.gpu->context_low) + " to " +
                             in_binary_units(request.gpu->context_most) + " were seen: it fits where that is at most " +
                             in_binary_units(*verdict.context_at_most) + " (--context; peakmem verify measures it)");
  if (!verdict.retries.empty()) write_retries(page, verdict.retries);
}

void write_failure(Page& page, const Report& report) {
  if (!report.failure) return;
  const Failure& failure = *report.failure;
  const Allocation& at = failure.allocation;
  page.heading("Where it fails");
  page.paragraph("  ", moment_text(at) + (failure.approximate.empty() ? "" : " (about: " + failure.approximate + ")"));
  page.paragraph("  ", "Tried to allocate " + as_pytorch_prints(at.tried_bytes) + ". GPU 0 has a total capacity of " +
                           as_pytorch_prints(failure.capacity_bytes) + " of which " +
                           as_pytorch_prints(failure.free_bytes) + " is free. Of the allocated memory " +
                           as_pytorch_prints(at.allocated_bytes) + " is allocated by PyTorch, and " +
                           as_pytorch_prints(at.reserved_bytes - at.allocated_bytes) +
                           " is reserved by PyTorch but unallocated.");
}

/// A phase of both steps side by side.
struct PhasePair {
  std::string name;
  int64_t first = -1;
  int64_t steady = -1;
};

std::vector<PhasePair> pair_phases(const Report& report) {
  std::vector<PhasePair> pairs;
  for (const PhaseReport& phase : report.phases) {
    const std::string name = phase.phase + (phase.micro > 0 ? ", with gradients there" : "");
    auto pair = std::find_if(pairs.begin(), pairs.end(), [&](const PhasePair& each) { return each.name == name; });
    if (pair == pairs.end()) pair = pairs.insert(pairs.end(), PhasePair{name});
    int64_t& peak = phase.step == 2 ? pair->steady : pair->first;
    peak = std::max(peak, phase.peak_bytes);
  }
  return pairs;
}

void write_phases(Page& page, const Report& report) {
  constexpr size_t kName = 32;
  constexpr size_t kPeak = 16;
  page.heading("Phases, tensors at their highest");
  page.line(page.faint(left("", kName) + right("first step", kPeak) + right("steady step", kPeak)));
  for (const PhasePair& pair : pair_phases(report)) {
    const bool highest = pair.steady == report.tensor_bytes;
    page.line(left("  " + pair.name, kName) + right(pair.first < 0 ? "" : in_binary_units(pair.first), kPeak) +
              right(pair.steady < 0 ? "" : in_binary_units(pair.steady), kPeak) + (highest ? "  ← the peak" : ""));
  }
}

void write_knobs(Page& page, const Report& report, std::span<const Knob> knobs) {
  if (knobs.empty()) return;
  page.heading("What would help");
  for (const Knob& knob : knobs) {
    const double share =
        static_cast<double>(knob.saves_bytes) / static_cast<double>(std::max<int64_t>(report.allocated_bytes, 1));
    page.line("  " + left(knob.change, 40) + right("-" + in_binary_units(knob.saves_bytes), kBytes) +
              right(percent(share), 9));
  }
}

void write_notes(Page& page, const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  page.heading(title);
  for (const std::string& line : lines) page.paragraph("  ", line);
}

/// Short assumptions share lines.
void write_assumptions(Page& page, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : " · ") + line;
  page.heading("Taken for granted");
  page.paragraph("  ", text);
}

/// What became of the keys of launch files.
void write_launch(Page& page, const LaunchNotes& launch) {
  if (launch.files.empty()) return;
  page.heading("Read of " + list_of(launch.files));
  const auto keys = [&](const char* name, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : " · ") + line;
    if (!lines.empty()) page.paragraph("  " + left(name, kLabel), text);
  };
  keys("used", launch.used);
  keys("by default", launch.defaults);
  keys("harmless", launch.harmless);
  keys("not read", launch.not_understood);
  page.paragraph("  " + left("the same", kLabel), launch.command);
}

int64_t bytes_of(const std::vector<LedgerSum>& sums, const std::string& name) {
  for (const LedgerSum& sum : sums)
    if (sum.name == name) return sum.bytes;
  return 0;
}

/// The modules that grow most from one run to the next.
std::vector<LedgerSum> growth_of(const Report& fits, const Report& next) {
  std::vector<LedgerSum> grown;
  for (const LedgerSum& category : sum_categories(next)) {
    const std::vector<LedgerSum> before = sum_modules(fits, category.name);
    for (const LedgerSum& sum : sum_modules(next, category.name))
      grown.push_back({category.name + " of " + sum.name, sum.count, sum.bytes - bytes_of(before, sum.name)});
  }
  sort_by(grown, [](const LedgerSum& sum) { return -sum.bytes; });
  return grown;
}

void write_growth(Page& page, const Report& fits, const Report& next) {
  page.heading("What fails first at the next: the rows that grow most");
  const std::vector<LedgerSum> grown = growth_of(fits, next);
  for (size_t i = 0; i < std::min<size_t>(3, grown.size()) && grown[i].bytes > 0; ++i)
    page.line("  " + left(page.fitted(grown[i].name, 60), 60) + right("+" + in_binary_units(grown[i].bytes), kBytes));
}

void solution_line(Page& page, const std::string& name, int64_t bytes, int64_t capacity) {
  const int64_t rest = capacity - bytes;
  page.line("  " + left(name, kLabel) + right(in_binary_units(bytes), kBytes) + " of " + in_binary_units(capacity) +
            " on the device, " + in_binary_units(rest < 0 ? -rest : rest) + (rest < 0 ? " too much" : " to spare"));
}

/// How far the answer can be trusted, and where a smaller value does not fit.
void write_standing(Page& page, const Solution& solution, const std::string& what) {
  if (solution.value == 0) return;
  page.line();
  if (solution.smallest) {
    if (solution.sure > 0)
      page.line("  " + left("for sure with", kLabel) + right(grouped(solution.sure), kBytes) +
                "   even at the upper end of what is reserved");
    return;
  }
  page.line("  " + left("for sure up to", kLabel) + right(grouped(solution.sure), kBytes) +
            "   even at the upper end of what is reserved, as those just below it");
  page.line("  " + left("likely up to", kLabel) + right(grouped(solution.value), kBytes));
  if (solution.aligned > 0)
    page.line("  " + left("without a gap", kLabel) + right(grouped(solution.aligned), kBytes) + "   every " +
              (solution.multiple > 1 ? "multiple of " + std::to_string(solution.multiple) : what) + " up to here fits");
  const Stretch& gap = solution.gap;
  if (gap.first == 0) return;
  const std::string values =
      gap.first == gap.last ? grouped(gap.first) + " does" : grouped(gap.first) + " to " + grouped(gap.last) + " do";
  page.paragraph(
      "  ", what + " " + values + " not fit: what is reserved does not grow evenly, so try before you rely on more");
}

}  // namespace

std::string headroom_text(const Request& request) {
  return in_binary_units(request.headroom_bytes) + " of its " + in_binary_units(request.gpu->memory_bytes) +
         " are to stay free";
}

namespace {

/// Batches by their lengths: "9 of 10 batches".
std::string share_text(double share) {
  return share >= 1 ? "the longest" : share >= 0.99 ? "99 of 100" : share >= 0.9 ? "9 of 10" : "half";
}

void write_lengths(Page& page, const Report& report) {
  if (report.lengths.empty()) return;
  page.heading("Batches padded to their longest row");
  page.line(page.strong(left("up to", 14) + right("tokens", 10) + right("tensors", 14) + right("device ~", 14)));
  for (const LengthRow& row : report.lengths)
    page.line(left(share_text(row.share), 14) + right(grouped(row.seq), 10) +
              right(in_binary_units(row.tensor_bytes), 14) + right(in_binary_units(row.device_bytes), 14) +
              (row.verdict.empty() ? "" : "  " + row.verdict));
}

}  // namespace

std::string where(const std::string& phase, int32_t step) {
  if (phase == "load") return "loading the model";
  return phase == "model" ? "building the model" : "the " + phase + " of step " + std::to_string(step);
}

std::string moment_text(const Allocation& at) {
  const std::string micro = at.micro > 0 ? ", micro-batch " + std::to_string(at.micro + 1) : "";
  return where(at.phase, at.step) + micro + ": " + (at.module.empty() ? "" : at.module + ", ") + at.op + " asks for " +
         in_binary_units(at.bytes);
}

std::string report_text(const Report& report, std::span<const Knob> knobs, const Request& request, const Style& style) {
  Page page(style);
  write_title(page, report, request);
  write_peak(page, report);
  write_nccl(page, request);
  write_host(page, request);
  write_verdict(page, report, request);
  write_failure(page, report);
  write_lengths(page, report);
  page.heading("What lives then");
  write_ledger(page, report);
  write_phases(page, report);
  write_knobs(page, report, knobs);
  write_launch(page, report.launch);
  write_assumptions(page, report.assumptions);
  write_notes(page, "Warnings", report.warnings);
  return std::move(page).text();
}

std::string solution_text(const Solution& solution, const Request& request, const Report* fits, const Report* next,
                          const Style& style) {
  Page page(style);
  const std::string& what = solution.name;
  const std::string gpu(request.gpu->title);
  page.line(page.strong(solution.value > 0 ? (solution.smallest ? "The smallest " : "The largest ") + what +
                                                 " that fits on " + gpu + ": " + grouped(solution.value)
                                           : "Not even " + what + " " + grouped(solution.next) + " fits on " + gpu));
  page.line(request.name + " · " + recipe_line(request.job));
  page.line();
  if (solution.value > 0)
    solution_line(page, what + " " + grouped(solution.value), solution.peak_bytes, solution.capacity_bytes);
  if (solution.next_peak_bytes > 0)
    solution_line(page, what + " " + grouped(solution.next), solution.next_peak_bytes, solution.capacity_bytes);
  if (solution.value == 0 && next != nullptr) write_weights_alone(page, *next, solution.capacity_bytes);
  if (!solution.limit.empty()) page.line("  limited by " + solution.limit);
  if (request.headroom_bytes > 0) page.line("  " + headroom_text(request));
  write_standing(page, solution, what);
  if (solution.failure && solution.next > 0) {
    page.heading("Where " + what + " " + grouped(solution.next) + " fails");
    page.paragraph(
        "  ", moment_text(solution.failure->allocation) +
                  (solution.failure->approximate.empty() ? "" : " (about: " + solution.failure->approximate + ")"));
  }
  if (fits != nullptr && next != nullptr) write_growth(page, *fits, *next);
  const Report* shown = fits != nullptr ? fits : next;
  if (shown != nullptr) {
    page.heading("What lives at the peak of " + what + " " + grouped(fits != nullptr ? solution.value : solution.next));
    write_ledger(page, *shown);
  }
  write_assumptions(page, request.assumptions);
  write_notes(page, "Warnings", request.warnings);
  return std::move(page).text();
}

}  // namespace peakmem
