// Loads in the order in which a bad model is told soonest: small files first, weights last.
#include "app/engine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "aira/error.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "base/thread_pool.h"
#include "cpu/cpu_backend.h"
#include "cuda/load_module.h"

namespace aira {
namespace {

/// The most memory this process has had, in MB (VmHWM); 0 where the system does not tell.
double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024 / 1e6;
  }
  return 0;
}

}  // namespace

FoundModel find_model(const Options& options) {
  FoundModel found = find_model(options.model);
  if (found.fallback && !options.quiet) {
    note("using the small built-in demo model; -m MODEL chooses another.");
  }
  return found;
}

int threads_of(const Options& options) {
  return options.threads > 0 ? options.threads : ThreadPool::usable_cores();
}

std::unique_ptr<Backend> make_backend(const Options& options) {
  const bool int8 = options.dtype == DType::kI8;  // the CPU's alone
  if (options.device == DeviceChoice::kCuda) {
    if (int8) throw UsageError("--dtype int8 runs on the CPU; use --device cpu, or --dtype f16.");
    return load_cuda_backend();
  }
  if (options.device == DeviceChoice::kAuto && !int8 && can_load_cuda_backend()) {
    try {
      return load_cuda_backend();
    } catch (const Error& error) {
      if (!options.quiet) note(std::string(error.what()) + " The CPU takes over.");
    }
  }
  return make_cpu_backend(threads_of(options));
}

std::future<std::unique_ptr<Backend>> begin_backend(const Options& options) {
  const bool wakes = options.device == DeviceChoice::kCuda ||
                     (options.device == DeviceChoice::kAuto && can_load_cuda_backend());
  return std::async(wakes ? std::launch::async : std::launch::deferred,
                    [&options] { return make_backend(options); });
}

std::function<bool()> patience() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  return [deadline] { return !interrupted() && std::chrono::steady_clock::now() < deadline; };
}

namespace {

/// Leaves packed weights for the next start. Never throws.
void keep_weights(const WeightCache& weights, const Model& model, const Options& options) {
  const std::string problem = weights.keep(model, patience());
  if (!problem.empty() && options.stats && !options.quiet) {
    note("packed weights were not kept in " + weights.path() + ": " + problem + ".");
  }
}

/// Sequences at once: --batch, or what a single question can use of it; in any case its beams.
std::int64_t slots_of(const Options& options) {
  const GenerateOptions request = with_settings(options.settings, {});
  const std::int64_t answers = std::max(request.answers, request.best_of);
  return std::max(options.question ? std::min(options.batch, answers) : options.batch,
                  request.num_beams);
}

}  // namespace

Engine::Engine(const Options& options)
    : options_(options),
      coming_(begin_backend(options)),
      found_(find_model(options)),
      generation_(read_generation_config(found_.files)),
      tokenizer_(clock_.time("tokenizer", [&] { return Tokenizer::load(found_.files); })),
      backend_(coming_.get()),
      weights_(cache_folder(), found_.files, *backend_, options.dtype),
      model_(clock_.time("weights", [&] { return weights_.load(); })),
      prompts_(tokenizer_, model_.config, generation_),
      scheduler_(model_, tokenizer_, *backend_, prompts_.end_ids(), slots_of(options)) {}

Engine::~Engine() { keep_weights(weights_, model_, options_); }

GenerateOptions Engine::generate_options(const Settings& more) const {
  Settings settings = options_.settings;
  settings.insert(settings.end(), more.begin(), more.end());
  GenerateOptions result = with_settings(settings, default_options(generation_));
  result.logprob = options_.jsonl;
  return result;
}

void Engine::require_markers() const {
  if (!options_.raw) static_cast<void>(prompts_.question(""));
}

std::vector<std::int32_t> Engine::prompt(std::string_view text) const {
  return options_.raw ? prompts_.raw(text) : prompts_.question(text);
}

std::string Engine::numbering(std::size_t answer) const {
  return options_.numbered ? "Response " + std::to_string(answer + 1) + ": " : "";
}

std::vector<Answer> Engine::stream(std::vector<std::int32_t> prompt,
                                   const GenerateOptions& options) {
  std::vector<std::string> early;  // text of answers whose turn has not come
  std::size_t current = 0;
  bool begun = false;  // something of the current answer is printed
  const auto show = [&](std::string_view text) {
    if (!begun) print(numbering(current));
    begun = true;
    print(text);
  };
  const auto on_text = [&](std::size_t answer, std::string_view text) {
    if (answer == current) return show(text);
    if (early.size() <= answer) early.resize(answer + 1);
    early[answer] += text;
  };
  const auto pending = scheduler_.ask({std::move(prompt), options, on_text});
  std::vector<Answer> answers;
  const bool streams = options.best_of <= 1 && options.num_beams == 1;
  try {
    while (!pending->done || answers.size() < pending->result.complete) {
      if (!pending->done) {
        interrupted() ? scheduler_.cancel() : static_cast<void>(scheduler_.step());
      }
      while (answers.size() < pending->result.complete) {
        const Answer& answer = pending->result.list[current];
        show(streams ? "" : answer.text);
        print("\n");
        answers.push_back(answer);
        print_stats(answer, options);
        begun = false;
        if (++current < early.size() && !early[current].empty()) show(early[current]);
      }
      if (pending->done && pending->problem) throw Error(*pending->problem);
      if (pending->done && current < pending->result.list.size()) {  // interrupted
        print("\n");
        answers.push_back(pending->result.list[current]);
        return answers;
      }
    }
  } catch (const std::exception&) {
    scheduler_.cancel();  // a request that is still at work calls on_text, which goes
    if (begun) print("\n");
    throw;
  }
  return answers;
}

void Engine::print_stats(const Answer& answer, const GenerateOptions& options) const {
  if (!options_.stats || options_.quiet) return;
  const auto tokens = static_cast<double>(answer.token_ids.size());
  const double speed = answer.decode_seconds > 0 ? (tokens - 1) / answer.decode_seconds : 0;
  std::array<char, 512> line{};
  std::snprintf(line.data(), line.size(),
                "prompt %lld tokens, answer %zu tokens, first token %.1f ms, %.1f tokens/s, peak "
                "memory %.0f MB, %s, %s, seed %llu",
                static_cast<long long>(answer.prompt_tokens), answer.token_ids.size(),
                answer.first_token_seconds * 1e3, speed, peak_megabytes(),
                backend_->description().c_str(), name_of(model_.dtype),
                static_cast<unsigned long long>(options.seed));
  print_start(answer);
  note(line.data());
}

void Engine::print_start(const Answer& answer) const {
  if (clock_.text().empty()) return;
  const std::string tokens = std::to_string(answer.token_ids.size()) + " tokens";
  clock_.add("prompt", answer.first_token_seconds);
  clock_.add(tokens, answer.decode_seconds);
  note("start: " + clock_.text() +
       (weights_.hit() ? "; weights packed in " + weights_.path() : "; weights converted"));
  clock_.clear();
}

}  // namespace aira
