// The model that is asked, and answers printed as they are written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/ask.h"
#include "app/energy_report.h"
#include "app/model_lookup.h"
#include "app/show_probs.h"

namespace aira {

class Answering {
 public:
  /// Throws Error when the model cannot be asked questions and --raw was not given; `any_prompt`:
  /// requests bring prompts of their own.
  explicit Answering(const AskOptions& options, bool any_prompt = false);

  const AskOptions& options() const { return options_; }
  /// What the model's folder asks for, changed by the config file.
  const GenerateOptions& defaults() const { return defaults_; }
  Engine& engine() { return engine_; }
  const FoundModel& model() const { return model_; }
  std::int64_t max_sequences() const { return max_sequences_; }
  /// Of --stats; null without it.
  EnergyReport* energy() { return energy_ ? &*energy_ : nullptr; }

  /// A question after these turns, or with --raw a text.
  GenerateRequest request(std::string_view text, const GenerateOptions& options,
                          std::span<const Prompts::Turn> turns = {}) const;
  /// Answers and prints the answers while they are written, one after the other. After Ctrl-C the
  /// last one is FinishReason::kInterrupted, and those after it are missing. `asked` is for --log.
  std::vector<Answer> stream(const GenerateRequest& request, std::string_view asked);
  /// Begins the answers to one line of many. What it returns prints them in the same way, each on
  /// one line, which `end_line` ends, and returns them.
  std::function<std::vector<Answer>()> stream_later(const GenerateRequest& request,
                                                    std::string asked,
                                                    std::function<void()> end_line);
  /// Writes what was asked ({"question": ...}) and answered to the --log, if there is one.
  void log(nlohmann::ordered_json asked, const GenerateOptions& options,
           std::span<const Answer> answers) const;
  /// "Response 1: " with --numbered, else nothing.
  std::string numbering(std::size_t answer) const {
    return options_.numbered ? "Response " + std::to_string(answer + 1) + ": " : "";
  }
  /// The lines of --stats; with the first answer also a line about the start.
  void print_stats(const Answer& answer, std::uint64_t seed);

 private:
  class Printer;
  std::pair<Ticket, std::shared_ptr<Printer>> begin(GenerateRequest request,
                                                    std::function<void()> end_line);

  const AskOptions& options_;
  double program_seconds_;  // processor time before the model was looked for
  std::optional<double> intensity_;
  FoundModel model_;
  std::int64_t max_sequences_;
  Engine engine_;
  GenerateOptions defaults_;
  bool start_printed_ = false;
  std::optional<EnergyReport> energy_;
  ShowProbs probs_{options_};
};

}  // namespace aira
