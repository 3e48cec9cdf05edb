#include "app/answering.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <utility>

#include "aira/error.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "base/thread_pool.h"
#include "model/weight_cache.h"

namespace aira {
namespace {

constexpr std::size_t kWindowPerSequence = 16;

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

/// The most memory this process has had, in MB (VmHWM); 0 where the system does not say.
double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024 / 1e6;
  }
  return 0;
}

double processor_seconds() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

/// --batch, or what a single question can use of it; in any case its beams.
std::int64_t sequences_of(const AskOptions& options) {
  const GenerateOptions request = options.request.over({});
  const std::int64_t answers = std::max(request.answers, request.best_of);
  return std::max(options.question ? std::min(options.batch, answers) : options.batch,
                  request.num_beams);
}

}  // namespace

FoundModel find_model(const CommonOptions& options) {
  FoundModel found = find_model(options.model);
  if (found.fallback && !options.quiet) {
    note("using the small built-in demo model; -m MODEL chooses another.");
  }
  return found;
}

int threads_of(const CommonOptions& options) {
  return options.threads > 0 ? options.threads : ThreadPool::usable_cores();
}

std::function<void(const std::string&)> notice_of(const CommonOptions& options) {
  if (options.quiet) return {};
  return note;
}

EngineOptions engine_options(const CommonOptions& options, const FoundModel& model,
                             std::int64_t max_sequences) {
  return {.files = model.files,
          .device = options.device,
          .dtype = options.dtype,
          .threads = options.threads,
          .max_sequences = max_sequences,
          .cache_folder = cache_folder(),
          .notice = notice_of(options)};
}

std::size_t line_window(std::int64_t max_sequences) {
  return kWindowPerSequence * static_cast<std::size_t>(max_sequences);
}

Answering::Answering(const AskOptions& options, bool any_prompt)
    : options_(options),
      program_seconds_(processor_seconds()),
      model_(find_model(options)),
      max_sequences_(sequences_of(options)),
      engine_([&] {
        EngineOptions engine = engine_options(options, model_, max_sequences_);
        if (options.question) engine.expected_answers = 1;
        return engine;
      }()) {
  if (!options.raw && !any_prompt) static_cast<void>(engine_.prompts().question(""));
}

std::vector<std::int32_t> Answering::prompt(std::string_view text) const {
  return options_.raw ? engine_.prompts().raw(text) : engine_.prompts().question(text);
}

std::string Answering::numbering(std::size_t answer) const {
  return options_.numbered ? "Response " + std::to_string(answer + 1) + ": " : "";
}

std::vector<Answer> Answering::stream(std::vector<std::int32_t> prompt,
                                      const GenerateOptions& options) {
  std::vector<Answer> answers;
  std::vector<std::string> early(
      static_cast<std::size_t>(options.answers));  // text before its turn
  bool begun = false;                              // something of the current answer is printed
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
  const Ticket ticket = engine_.submit(GenerateRequest{std::move(prompt), options}, listener);
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
