// Loads in the order in which a bad model is told soonest: small files first, weights last.
#include "app/engine.h"

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
  if (options.device == DeviceChoice::kCuda) return load_cuda_backend();
  if (options.device == DeviceChoice::kAuto && can_load_cuda_backend()) {
    try {
      return load_cuda_backend();
    } catch (const Error& error) {
      if (!options.quiet) note(std::string(error.what()) + " The CPU takes over.");
    }
  }
  return make_cpu_backend(threads_of(options));
}

std::function<bool()> patience() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  return [deadline] { return !interrupted() && std::chrono::steady_clock::now() < deadline; };
}

void keep_weights(const WeightCache& weights, const Model& model, const Options& options) {
  const std::string problem = weights.keep(model, patience());
  if (!problem.empty() && options.stats && !options.quiet) {
    note("packed weights were not kept in " + weights.path() + ": " + problem + ".");
  }
}

Engine::Engine(const Options& options)
    : options_(options),
      found_(find_model(options)),
      generation_(read_generation_config(found_.files)),
      backend_(make_backend(options)),
      tokens_(packed_folder(), found_.files),
      tokenizer_(clock_.time("tokenizer", [&] { return tokens_.load(); })),
      weights_(packed_folder(), found_.files, *backend_, options.dtype),
      model_(clock_.time("weights", [&] { return weights_.load(); })),
      generator_(model_, tokenizer_, *backend_, generation_) {}

Engine::~Engine() {
  tokens_.keep(tokenizer_, patience());
  keep_weights(weights_, model_, options_);
}

Request Engine::request(const Settings& more) const {
  Settings settings = options_.settings;
  settings.insert(settings.end(), more.begin(), more.end());
  return make_request(settings, default_options(generation_));
}

void Engine::require_markers() const {
  if (!options_.raw) static_cast<void>(generator_.question_prompt(""));
}

std::vector<std::int32_t> Engine::prompt(std::string_view text) const {
  return options_.raw ? generator_.raw_prompt(text) : generator_.question_prompt(text);
}

Answer Engine::answer(std::span<const std::int32_t> prompt, const Request& request,
                      std::int64_t index, const std::function<void(std::string_view)>& on_text) {
  GenerateOptions options = request.generate;
  options.answer = static_cast<std::uint32_t>(index);
  options.logprob = options_.jsonl;
  return generator_.generate(prompt, options, on_text, &interrupted());
}

void Engine::print_stats(const Answer& answer, const Request& request) const {
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
                static_cast<unsigned long long>(request.generate.seed));
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
