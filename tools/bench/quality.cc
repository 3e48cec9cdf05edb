// What a storage type costs in quality, beside f32 on the CPU: the divergence of the next token's
// distribution, how often the most probable token is the same, and how many greedy answers are.
// With "cuda" it is on the GPU, which reads the texts at once and token by token.
// Each line of stdin is a question; both models read the f32 model's own greedy answer. Without
// questions (a model without a tokenizer, too) they read pseudo-random tokens.
// usage: quality-bench MODEL DTYPE [cuda] < questions
// build: cmake --build build --target quality-bench
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "aira/error.h"
#include "aira/generate.h"
#include "aira/prompts.h"
#include "aira/tokenizer.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "model/model.h"
#include "run/sampler.h"
#include "run/scheduler.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

/// A text, and from which position on its predictions count.
struct Text {
  Ids ids;
  std::size_t from = 0;
};

struct Loaded {
  Loaded(const ModelFiles& files, DType dtype, Device device)
      : backend(make_backend(device, pool)), model(Model::load(files, *backend, dtype)) {}

  mutable ThreadPool pool{ThreadPool::usable_cores()};
  std::unique_ptr<Backend> backend;
  Model model;
};

Ids greedy(const Loaded& loaded, const Tokenizer& tokenizer, const std::string& question,
           Ids* prompt) {
  const Prompts prompts(tokenizer, loaded.model.config.eos, {});
  Scheduler scheduler(loaded.model, tokenizer, *loaded.backend, loaded.pool, prompts.end_ids(), 1);
  GenerateOptions options;
  options.sampling.greedy = true;
  options.sampling.repetition_penalty = 1;
  options.max_new_tokens = 60;
  *prompt = prompts.question(question);
  Ids ids;
  Listener listener;
  listener.finished = [&](std::size_t, const Answer& answer) { ids = answer.token_ids; };
  listener.failed = [](const Error& error) { throw error; };
  const auto task = scheduler.make_task(GenerateRequest{*prompt, options}, listener);
  scheduler.submit(task);
  while (!task->run_events(false)) scheduler.step();
  return ids;
}

std::vector<Text> random_texts(const ModelConfig& config) {
  std::vector<Text> texts(8);
  std::uint64_t state = 1;
  for (Text& text : texts) {
    for (std::int64_t i = 0; i < std::min<std::int64_t>(config.context, 128); ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      text.ids.push_back(static_cast<std::int32_t>((state >> 33) % config.vocab));
    }
  }
  return texts;
}

/// The text is read in steps of `step` rows.
std::vector<float> logits_of(const Loaded& loaded, const Text& text, std::size_t step) {
  const auto most = static_cast<std::int64_t>(step);
  Session session(loaded.model, *loaded.backend,
                  {.slots = 1,
                   .context = static_cast<std::int64_t>(text.ids.size()),
                   .rows = most,
                   .output_rows = most});
  std::vector<float> all;
  for (std::size_t first = 0; first < text.ids.size(); first += step) {
    std::vector<Row> rows;
    Ids wanted;
    for (std::size_t i = first; i < std::min(first + step, text.ids.size()); ++i) {
      if (i >= text.from) wanted.push_back(static_cast<std::int32_t>(rows.size()));
      rows.push_back({text.ids[i], 0, static_cast<std::int32_t>(i)});
    }
    const auto logits = session.forward(rows, wanted);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

using Logits = std::span<const float>;

/// Kullback-Leibler divergence, in nats, from p (exact) to q.
double divergence(Logits p, Logits q) {
  const LogSoftmax exact(p);
  const LogSoftmax other(q);
  double sum = 0;
  for (std::int32_t v = 0; v < static_cast<std::int32_t>(p.size()); ++v) {
    sum += std::exp(exact[v]) * (exact[v] - other[v]);
  }
  return sum;
}

std::ptrdiff_t best(Logits logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

void compare(const Loaded& exact, const Loaded& other, const std::vector<Text>& texts,
             bool one_by_one) {
  const auto vocab = static_cast<std::size_t>(exact.model.config.vocab);
  std::vector<double> divergences;
  std::int64_t same = 0;
  for (const Text& text : texts) {
    const std::vector<float> all_p = logits_of(exact, text, text.ids.size());
    const std::vector<float> all_q = logits_of(other, text, one_by_one ? 1 : text.ids.size());
    for (std::size_t at = 0; at < all_p.size(); at += vocab) {
      const Logits p = Logits(all_p).subspan(at, vocab);
      const Logits q = Logits(all_q).subspan(at, vocab);
      divergences.push_back(divergence(p, q));
      same += best(p) == best(q) ? 1 : 0;
    }
  }
  std::sort(divergences.begin(), divergences.end());
  double mean = 0;
  for (const double d : divergences) mean += d / static_cast<double>(divergences.size());
  std::printf(
      "%zu positions%s: divergence %.2e on average, %.2e at most; same first token %.2f %%\n",
      divergences.size(), one_by_one ? ", token by token" : "", mean, divergences.back(),
      100.0 * static_cast<double>(same) / static_cast<double>(divergences.size()));
}

void run(const std::string& folder, DType dtype, Device device) {
  const ModelFiles files = ModelFiles::from_folder(folder);
  const Loaded exact(files, DType::kF32, Device::kCpu);
  const Loaded other(files, dtype, device);
  std::vector<Text> texts;
  std::size_t same = 0;
  for (std::string question; std::getline(std::cin, question);) {
    const Tokenizer tokenizer = Tokenizer::load(files);
    Ids prompt;
    const Ids answer = greedy(exact, tokenizer, question, &prompt);
    same += greedy(other, tokenizer, question, &prompt) == answer ? 1 : 0;
    texts.push_back({prompt, prompt.size() - 1});
    texts.back().ids.insert(texts.back().ids.end(), answer.begin(), answer.end() - 1);
  }
  const bool cuda = device == Device::kCuda;
  std::printf("%s%s beside f32\n", name_of(dtype), cuda ? " on the GPU" : "");
  if (!texts.empty()) std::printf("%zu of %zu greedy answers are the same\n", same, texts.size());
  if (texts.empty()) texts = random_texts(exact.model.config);
  compare(exact, other, texts, false);
  if (cuda) compare(exact, other, texts, true);
}

}  // namespace
}  // namespace aira

int main(int argc, char** argv) {
  const std::string name = argc == 3 || argc == 4 ? argv[2] : "";
  const bool cuda = argc == 4 && argv[3] == std::string("cuda");
  if ((name != "int8" && name != "f16" && name != "f32") || cuda != (argc == 4)) {
    std::fprintf(stderr, "usage: quality-bench MODEL int8|f16|f32 [cuda] < questions\n");
    return 2;
  }
  const aira::DType dtype = name == "int8"  ? aira::DType::kI8
                            : name == "f16" ? aira::DType::kF16
                                            : aira::DType::kF32;
  try {
    aira::run(argv[1], dtype, cuda ? aira::Device::kCuda : aira::Device::kCpu);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "quality-bench: %s\n", error.what());
    return 1;
  }
}
