#include "app/answering.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/answer_log.h"
#include "app/config_file.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "app/word_wrap.h"
#include "base/printable.h"

namespace aira {

using nlohmann::ordered_json;

namespace {

/// The most memory this process has had, in MB (VmHWM); 0 where the system does not say.
double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  double kilobytes = 0;
  for (std::string word; status >> word;) {
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024 / 1e6;
  }
  return 0;
}

/// --batch, or what a single question can use of it; in any case its beams.
std::int64_t sequences_of(const AskOptions& options) {
  const GenerateOptions request = options.request.laid_over(config().request.laid_over({}));
  // A text to choose from may be written in two ways.
  const std::int64_t answers =
      std::max({request.answers, request.best_of, 2 * std::ssize(options.choices)});
  return std::max(options.question ? std::min(options.batch, answers) : options.batch,
                  request.num_beams);
}

std::string tenths(double number) { return format("%.1f", number); }

}  // namespace

/// Prints the answers to one question, one after the other, while they are written.
class Answering::Printer {
 public:
  /// With `end_line`, which ends a line, an answer is one line.
  Printer(Answering& answering, const GenerateOptions& options, std::function<void()> end_line)
      : answering_(answering),
        streamed_(options.best_of <= 1 && options.num_beams == 1),
        seed_(options.seed),
        end_line_(std::move(end_line)),
        terminal_(::isatty(STDOUT_FILENO) == 1),
        wraps_(terminal_ && !answering.options_.raw && !answering.options_.show_probs),
        early_(static_cast<std::size_t>(options.answers)) {}

  const std::vector<Answer>& answers() const { return answers_; }

  void text(std::size_t answer, std::string_view text) {
    if (answer == answers_.size()) {
      show(text);
    } else {
      early_[answer] += text;
    }
  }

  void finished(const Answer& answer) {
    const bool whole = answer.finish != FinishReason::kInterrupted;
    if (whole) show(streamed_ ? "" : answer.text);
    if (whole || !answering_.options_.no_stream) end();
    answers_.push_back(answer);
    if (!whole) return;
    answering_.print_stats(answer, seed_);
    if (answers_.size() < early_.size() && !early_[answers_.size()].empty()) {
      show(early_[answers_.size()]);
    }
  }

  void failed() {
    if (begun_) end();
  }

 private:
  void show(std::string_view text) {
    std::string shown = begun_ ? "" : answering_.numbering(answers_.size());
    begun_ = true;
    shown += end_line_ ? one_line(text) : text;
    if (wraps_) {
      shown = wrap_.push(shown, terminal_columns(STDOUT_FILENO));
    } else if (terminal_ && !answering_.options_.show_probs) {  // which has done it
      shown = without_controls(shown);
    }
    if (answering_.options_.no_stream) {
      held_ += shown;
    } else {
      print(shown);
    }
  }

  void end() {
    begun_ = false;
    const std::string rest = std::exchange(held_, {}) + wrap_.finish();
    if (!end_line_) return print(rest + "\n");
    print(rest);
    end_line_();
  }

  Answering& answering_;
  const bool streamed_;
  const std::uint64_t seed_;
  const std::function<void()> end_line_;
  const bool terminal_;  // stdout is one
  const bool wraps_;
  WordWrap wrap_;
  std::string held_;                // --no-stream: of the current answer
  bool begun_ = false;              // something of the current answer was shown
  std::vector<std::string> early_;  // text before its turn
  std::vector<Answer> answers_;
};

Answering::Answering(const AskOptions& options, bool any_prompt)
    : options_(options),
      program_seconds_(static_cast<double>(std::clock()) / CLOCKS_PER_SEC),
      intensity_(options.stats ? carbon_intensity(options) : std::nullopt),
      model_(find_model(options)),
      max_sequences_(sequences_of(options)),
      engine_(engine_options(options, model_, max_sequences_, options.question ? 1 : 0)),
      defaults_(config().request.over(engine_.defaults())) {
  if (options.stats) energy_.emplace(engine_.info().gpu, intensity_);
  if (!any_prompt) static_cast<void>(request("?", {}));
}

GenerateRequest Answering::request(std::string_view text, const GenerateOptions& options,
                                   std::span<const Prompts::Turn> turns) const {
  const Prompts& prompts = engine_.prompts();
  const auto added = options_.plain ? Tokenizer::Added::kPlainText : Tokenizer::Added::kRecognise;
  return {options_.raw ? prompts.raw(text, added)
                       : prompts.question(text, turns, options_.form.value_or("")),
          options, options_.raw, options_.choices};
}

std::pair<Ticket, std::shared_ptr<Answering::Printer>> Answering::begin(
    GenerateRequest request, std::function<void()> end_line) {
  probs_.ask_for(request.options);
  auto printer = std::make_shared<Printer>(*this, request.options, std::move(end_line));
  Listener listener;
  listener.text = [printer](std::size_t answer, std::string_view text) {
    printer->text(answer, text);
  };
  listener.finished = [printer](std::size_t /*answer*/, const Answer& answer) {
    printer->finished(answer);
  };
  listener.failed = [printer](const Error& error) {
    printer->failed();
    throw Error(error);
  };
  listener = probs_.wrap(std::move(listener), engine_.tokenizer());
  return {engine_.submit(std::move(request), std::move(listener)), std::move(printer)};
}

std::vector<Answer> Answering::stream(const GenerateRequest& request, std::string_view asked) {
  if (energy_) energy_->restart();
  const auto [ticket, printer] = begin(request, nullptr);
  const OnInterrupt cancels([this, &asked = ticket] { engine_.cancel(asked); });
  ticket.wait();
  if (energy_) energy_->print();
  log({{options_.raw ? "prompt" : "question", asked}}, request.options, printer->answers());
  return printer->answers();
}

std::function<std::vector<Answer>()> Answering::stream_later(const GenerateRequest& request,
                                                             std::string asked,
                                                             std::function<void()> end_line) {
  const auto begun = begin(request, std::move(end_line));
  return [this, asked = std::move(asked), options = request.options, begun] {
    const auto& [ticket, printer] = begun;
    ticket.wait();
    log({{options_.raw ? "prompt" : "question", asked}}, options, printer->answers());
    return printer->answers();
  };
}

void Answering::log(ordered_json asked, const GenerateOptions& options,
                    std::span<const Answer> answers) const {
  if (!options_.log) return;
  ordered_json record = {{"model", model_.name}};
  record.update(std::move(asked));
  if (options_.form) record["template"] = *options_.form;
  record["options"] = ordered_json::object();
  for (const RequestOption& row : request_options()) {
    const nlohmann::json value = row.value(options);
    if (std::string_view(row.name) != "seed" && value != row.value(engine_.defaults())) {
      record["options"][row.name] = value;
    }
  }
  record["seed"] = options.seed;
  record["answers"] = ordered_json::array();
  for (const Answer& answer : answers) {
    if (answer.finish == FinishReason::kInterrupted) continue;
    record["answers"].push_back({{"text", answer.text}, {"tokens", answer.token_ids.size()}});
  }
  options_.log->add(record);
}

void Answering::print_stats(const Answer& answer, std::uint64_t seed) {
  if (!energy_) return;
  energy_->add(answer);
  const EngineInfo& info = engine_.info();
  const std::string tokens = std::to_string(answer.token_ids.size());
  const std::string first_token = tenths(answer.first_token_seconds * 1e3);
  if (!std::exchange(start_printed_, true)) {
    const char* pattern =
        info.cached ? to_translate(
                          "start: program {} ms, tokenizer {} ms, weights {} ms, prompt {} ms, {} "
                          "tokens {} ms; weights packed in {}")
                    : to_translate(
                          "start: program {} ms, tokenizer {} ms, weights {} ms, prompt {} ms, {} "
                          "tokens {} ms; weights converted");
    note(message(pattern, {tenths(program_seconds_ * 1e3), tenths(info.tokenizer_seconds * 1e3),
                           tenths(info.weights_seconds * 1e3), first_token, tokens,
                           tenths(answer.decode_seconds * 1e3), info.cache_file}));
  }
  const double decoded = static_cast<double>(answer.token_ids.size()) - 1;
  const double speed = answer.decode_seconds > 0 ? decoded / answer.decode_seconds : 0;
  note(
      message("prompt {} tokens, answer {} tokens, first token {} ms, {} tokens/s, peak memory {} "
              "MB, {}, {}, seed {}",
              {std::to_string(answer.prompt_tokens), tokens, first_token, tenths(speed),
               format("%.0f", peak_megabytes()), info.backend, name_of(options_.dtype),
               std::to_string(seed)}));
}

}  // namespace aira
