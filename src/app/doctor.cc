// doctor: what of this machine the program uses, how fast answers can be, and what to do about each
// problem.
#include "app/doctor.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "app/output.h"
#include "app/wrap_help.h"
#include "base/printable.h"
#include "cpu/cpu_backend.h"
#include "model/weight_cache.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

/// Bytes of the packed weights.
PackedSize sizes_of(const ModelFiles& files, DType dtype) {
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  return packed_size(read_model_config(files), has_own_head(files), *backend->packing(), dtype);
}

Finding which_model(const CommonOptions& options, Examined& examined) {
  CommonOptions quiet = options;
  quiet.quiet = true;
  examined.model = find_model(quiet);
  const FoundModel& model = *examined.model;
  const char* const origin = origin_of_model(options);
  [[maybe_unused]] static constexpr const char* kWords[] = {
      to_translate("folder"), to_translate("built in"), to_translate("Hugging Face cache"),
      to_translate("config file"), to_translate("default")};
  Finding finding = {
      Mark::kGood,
      message("{} ({}; chosen by: {})",
              {printable(model.name), message(model.found.c_str()), message(origin)}),
      {{"name", model.name},
       {"found", model.found},
       {"place", model.files.place()},
       {"chosen_by", origin}}};
  if (model.found == "built in") {
    finding.mark = Mark::kNote;
    finding.advice =
        message("It is a small demonstration; {} fetches Aira itself.", {"aira-cli pull"});
  }
  return finding;
}

Finding weights(const CommonOptions& options, Examined& examined) {
  if (!examined.model) return {Mark::kGood, message("not told")};
  const ModelFiles& files = examined.model->files;
  const std::int64_t parameters = count_parameters(files);
  examined.bytes = sizes_of(files, options.dtype).all;
  return {
      Mark::kGood,
      message("{} parameters, {} in {}",
              {std::to_string(parameters), size_text(examined.bytes), name_of(options.dtype)}),
      {{"parameters", parameters}, {"bytes", examined.bytes}, {"dtype", name_of(options.dtype)}}};
}

Finding tokenizer(const CommonOptions& /*options*/, Examined& examined) {
  if (!examined.model) return {Mark::kGood, message("not told")};
  const auto size = Tokenizer::load(examined.model->files).size();
  return {Mark::kGood, message("{} tokens", {std::to_string(size)}), {{"tokens", size}}};
}

/// Each token reads all weights once.
Finding speed(const CommonOptions& /*options*/, Examined& examined) {
  if (!examined.model || examined.bytes_per_second == 0) return {Mark::kGood, message("not told")};
  Finding finding;
  std::array<std::string, 2> shown;
  const auto cache = std::max(0L, ::sysconf(_SC_LEVEL3_CACHE_SIZE));
  bool cached = false;
  for (const DType dtype : {DType::kF16, DType::kI8}) {
    const std::int64_t bytes = sizes_of(examined.model->files, dtype).step;
    const double tokens = examined.bytes_per_second / static_cast<double>(bytes);
    cached = cached || bytes < cache;
    shown[dtype == DType::kF16 ? 0 : 1] = format("%.0f", tokens);
    finding.value[name_of(dtype)] = tokens;
  }
  finding.value["cached"] = cached;
  // No bound for weights that stay in the processor's cache.
  finding.text =
      cached
          ? message("the weights fit into the processor's cache; no estimate from memory bandwidth")
          : message(
                "at most {} tokens/s in f16, {} in int8 (upper bounds: memory bandwidth / "
                "weights)",
                {shown[0], shown[1]});
  return finding;
}

Finding finding_of(const Probe& probe, const CommonOptions& options, Examined& examined) {
  try {
    return probe.look(options, examined);
  } catch (const Error& error) {
    return {Mark::kBad, message("problem"), {{"code", error.id()}}, error.what()};
  } catch (const std::exception& error) {
    return {
        Mark::kNote, message("not told"), {}, message("It cannot be told: {}.", {error.what()})};
  }
}

struct Diagnosis {
  std::vector<std::pair<Probe, Finding>> findings;
  int count(Mark mark) const {
    return static_cast<int>(std::count_if(findings.begin(), findings.end(), [&](const auto& one) {
      return one.second.mark == mark;
    }));
  }
};

Diagnosis examine(const CommonOptions& options) {
  constexpr const char* kModel = to_translate("model");
  constexpr auto kFirst = std::to_array<Probe>({{kModel, to_translate("model"), which_model},
                                                {kModel, to_translate("weights"), weights},
                                                {kModel, to_translate("tokenizer"), tokenizer}});
  constexpr Probe kLast = {kModel, to_translate("speed"), speed};
  Diagnosis diagnosis;
  Examined examined;
  const auto look = [&](const Probe& probe) {
    diagnosis.findings.emplace_back(probe, finding_of(probe, options, examined));
  };
  for (const Probe& probe : kFirst) look(probe);
  for (const Probe& probe : machine_probes()) look(probe);
  look(kLast);
  // Its section goes last: that is what someone reads first on a terminal.
  std::stable_partition(diagnosis.findings.begin(), diagnosis.findings.end(),
                        [&](const auto& one) { return one.first.section != kModel; });
  return diagnosis;
}

/// "CUDA module" as a key: "cuda_module".
std::string key_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c == ' ' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

ordered_json as_json(const Diagnosis& diagnosis) {
  constexpr const char* kMarks[] = {"ok", "note", "problem"};
  ordered_json json = {{"ok", diagnosis.count(Mark::kBad) == 0}};
  for (const auto& [probe, finding] : diagnosis.findings) {
    ordered_json& row = json[key_of(probe.section)][key_of(probe.name)];
    row = {{"state", kMarks[static_cast<int>(finding.mark)]}, {"value", finding.value}};
    if (!finding.advice.empty()) row["advice"] = finding.advice;
  }
  return json;
}

/// A line for each finding, advice below it.
std::string as_text(const Diagnosis& diagnosis) {
  constexpr std::array<const char*, 3> kMarks = {"✓", "!", "✗"};
  constexpr std::array<const char*, 3> kColours = {"\033[32m", "\033[33m", "\033[31m"};
  constexpr int kNameWidth = 17;
  constexpr std::size_t kIndent = kNameWidth + 5;
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const auto columns = static_cast<std::size_t>(terminal_columns(STDOUT_FILENO));
  const auto mark_of = [&](Mark mark) {
    const auto at = static_cast<std::size_t>(mark);
    return terminal && colours() ? kColours[at] + std::string(kMarks[at]) + "\033[0m" : kMarks[at];
  };
  std::string text;
  std::string_view section;
  for (const auto& [probe, finding] : diagnosis.findings) {
    if (section != probe.section)
      text += (text.empty() ? "" : "\n") + message(probe.section) + "\n";
    section = probe.section;
    std::string rest = "    " + padded(message(probe.name), kNameWidth) + " " + finding.text + "\n";
    if (!finding.advice.empty()) rest += std::string(kIndent, ' ') + finding.advice + "\n";
    if (columns > 2 * kIndent) rest = wrapped(rest, columns, kIndent);
    text += "  " + mark_of(finding.mark) + rest.substr(3);
  }
  const int problems = diagnosis.count(Mark::kBad);
  const int notes = diagnosis.count(Mark::kNote);
  text += "\n";
  if (problems > 0) {
    text += message("The program cannot answer. Problems: {}.", {std::to_string(problems)});
  } else if (notes > 0) {
    text += message("The program can answer. What could be better: {}.", {std::to_string(notes)});
  } else {
    text += message("Everything is in order.");
  }
  return text + "\n";
}

}  // namespace

Action set_up_doctor(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  app.description(message(
      "aira-cli doctor [options] [MODEL] Tell what runs on this machine, how well, and what to do "
      "about problems"));
  app.footer(message("The exit code is 0 unless something keeps the program from answering.") +
             "\n\n" + message("Examples:") + R"(
  aira-cli doctor
  aira-cli doctor --json --dtype int8)");
  add_model_options(app, *options, true);
  add_model_argument(app, *options);
  app.option_defaults()->group(message("Output"));
  app.add_flag("--json", options->json, message("Print one JSON object"));
  return [options] {
    const Diagnosis diagnosis = examine(*options);
    options->json ? print_json(as_json(diagnosis)) : print(as_text(diagnosis));
    return diagnosis.count(Mark::kBad) == 0 ? kDone : kFailed;
  };
}

}  // namespace aira
