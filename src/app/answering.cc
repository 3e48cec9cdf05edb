#include "app/answering.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <utility>

#include "app/interrupt.h"
#include "app/output.h"

namespace aira {
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
  const GenerateOptions request = options.request.over({});
  // A text to choose from may be written in two ways.
  const std::int64_t answers =
      std::max({request.answers, request.best_of, 2 * std::ssize(options.choices)});
  return std::max(options.question ? std::min(options.batch, answers) : options.batch,
                  request.num_beams);
}

}  // namespace

Answering::Answering(const AskOptions& options, bool any_prompt)
    : options_(options),
      program_seconds_(static_cast<double>(std::clock()) / CLOCKS_PER_SEC),
      model_(find_model(options)),
      max_sequences_(sequences_of(options)),
      engine_(engine_options(options, model_, max_sequences_, options.question ? 1 : 0)) {
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

std::vector<Answer> Answering::stream(GenerateRequest request) {
  probs_.ask_for(request.options);
  const GenerateOptions& options = request.options;
  std::vector<Answer> answers;
  // Text before its turn.
  std::vector<std::string> early(static_cast<std::size_t>(options.answers));
  bool begun = false;  // something of the current answer is printed
  const auto show = [&](std::string_view text) {
    if (!begun) print(numbering(answers.size()));
    begun = true;
    print(text);
  };
  Listener listener;
  listener.text = [&](std::size_t answer, std::string_view text) {
    if (answer == answers.size()) {
      show(text);
    } else {
      early[answer] += text;
    }
  };
  listener.finished = [&](std::size_t /*answer*/, const Answer& answer) {
    const bool whole = answer.finish != FinishReason::kInterrupted;
    const bool streamed = options.best_of <= 1 && options.num_beams == 1;
    if (whole) show(streamed ? "" : answer.text);
    print("\n");
    begun = false;
    answers.push_back(answer);
    if (!whole) return;
    print_stats(answer, options.seed);
    if (answers.size() < early.size() && !early[answers.size()].empty()) {
      show(early[answers.size()]);
    }
  };
  listener.failed = [&](const Error& error) {
    if (begun) print("\n");
    throw Error(error);
  };
  const Ticket ticket = engine_.submit(request, probs_.wrap(listener, engine_.tokenizer()));
  const OnInterrupt cancels([&] { engine_.cancel(ticket); });
  ticket.wait();
  return answers;
}

void Answering::print_stats(const Answer& answer, std::uint64_t seed) {
  if (!options_.stats || options_.quiet) return;
  const EngineInfo& info = engine_.info();
  const std::size_t tokens = answer.token_ids.size();
  if (!std::exchange(start_printed_, true)) {
    note(format("start: program %.1f ms, tokenizer %.1f ms, weights %.1f ms, prompt %.1f ms, "
                "%zu tokens %.1f ms; ",
                program_seconds_ * 1e3, info.tokenizer_seconds * 1e3, info.weights_seconds * 1e3,
                answer.first_token_seconds * 1e3, tokens, answer.decode_seconds * 1e3) +
         (info.cached ? "weights packed in " + info.cache_file : "weights converted"));
  }
  const double decoded = static_cast<double>(tokens) - 1;
  note(format("prompt %lld tokens, answer %zu tokens, first token %.1f ms, %.1f tokens/s, peak "
              "memory %.0f MB, ",
              static_cast<long long>(answer.prompt_tokens), tokens,
              answer.first_token_seconds * 1e3,
              answer.decode_seconds > 0 ? decoded / answer.decode_seconds : 0, peak_megabytes()) +
       info.backend + ", " + name_of(options_.dtype) + ", seed " + std::to_string(seed));
}

}  // namespace aira
