// batch-bench MODEL [--device cpu|cuda] [--dtype f16|int8|f32] [--tokens N] [--from N] BATCH...:
// decodes N tokens (128) in each of BATCH sequences at once, behind N positions (0) that are there
// already, and prints a JSON list of tokens/s, medians of five rounds. Tokens are drawn where the
// program draws them: on the device, one step ahead of the host, or from the logits in host memory.
// With --prompt N, tokens/s of BATCH prompts of N tokens each, --rows N of them a step instead of
// as many as the program takes.
// --without NAME,... also measures, in turns, without each of these: graph, pdl, few,
// wgmma (src/cuda/device.h); ahead: a step starts when the tokens of the last have arrived.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "aira/error.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "model/model.h"

namespace aira {
namespace {

struct Request {
  std::string model, device = "cuda", dtype = "f16";
  std::int64_t tokens = 128;
  std::int64_t from = 0;
  std::int64_t prompt = 0;
  std::int64_t rows = 0;  // 0: as many as the program takes
  std::vector<std::string> without;
  std::vector<std::int64_t> batches;
};

/// The model on a backend of its own, `without` being switched off; empty: as the program has it.
struct Variant {
  Variant(const Request& request, const std::string& without_name)
      : without(without_name),
        backend(make(request, without, pool)),
        model(Model::load(ModelFiles::from_folder(request.model), *backend, dtype_of(request))) {}

  static DType dtype_of(const Request& request) {
    return request.dtype == "f32"    ? DType::kF32
           : request.dtype == "int8" ? DType::kI8
                                     : DType::kF16;
  }
  static std::unique_ptr<Backend> make(const Request& request, const std::string& without,
                                       ThreadPool& pool) {
    std::string variable = "AIRA_CUDA_";
    for (const char c : without) variable += static_cast<char>(std::toupper(c));
    if (!without.empty()) setenv(variable.c_str(), "off", 1);
    auto backend = make_backend(request.device == "cuda" ? Device::kCuda : Device::kCpu, pool);
    if (!without.empty()) unsetenv(variable.c_str());
    return backend;
  }

  std::string without;
  ThreadPool pool{ThreadPool::usable_cores()};
  std::unique_ptr<Backend> backend;
  Model model;
};

class Bench {
 public:
  Bench(const Variant& variant, std::int64_t batch, const Request& request)
      : session_(variant.model, *variant.backend,
                 {.slots = batch,
                  .context = request.from + request.tokens,
                  .rows = std::max<std::int64_t>(batch, rows_of(variant, request)),
                  .output_rows = batch}),
        width_((request.from + request.tokens + kPagePositions - 1) / kPagePositions),
        batch_(batch),
        from_(request.from),
        ahead_(variant.without != "ahead") {
    for (std::int64_t i = 0; i < batch * width_; ++i)
      pages_.push_back(static_cast<std::int32_t>(i));
    for (std::int64_t s = 0; s < batch; ++s) outputs_.push_back(static_cast<std::int32_t>(s));
    prefill();
  }

  /// Tokens/s of the positions before the decoded ones, the last logits of each sequence included.
  double prompt_round() {
    const auto start = std::chrono::steady_clock::now();
    prefill();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return static_cast<double>(batch_ * from_) / elapsed.count();
  }

  /// Tokens/s of one round; the ids are any, the work is the same.
  double round(std::int64_t tokens) {
    // The options of the model's card.
    const std::vector<DeviceDraw> draws(
        static_cast<std::size_t>(batch_),
        {.temperature = 0.2, .top_p = 0.3, .uniform = 0.5, .penalty = 1.2F, .top_k = 30});
    const bool on_device = session_.can_draw(draws[0]);
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t p = 0; p < tokens; ++p) {
      std::vector<Row> rows;
      for (std::int64_t s = 0; s < batch_; ++s) {
        rows.push_back({.token = on_device && p > 0 ? kDrawnToken : token(p, s),
                        .slot = static_cast<std::int32_t>(s),
                        .position = static_cast<std::int32_t>(from_ + p)});
      }
      if (!on_device) {
        session_.forward(rows, outputs_, table());
        continue;
      }
      session_.launch(rows, outputs_, table(), draws);
      if (p > 0 || !ahead_) session_.drawn();
    }
    if (on_device && ahead_) session_.drawn();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return static_cast<double>(batch_ * tokens) / elapsed.count();
  }

 private:
  static std::int64_t rows_of(const Variant& variant, const Request& request) {
    if (request.from == 0) return 1;
    return request.rows > 0 ? request.rows : variant.backend->step_rows();
  }
  PageTable table() const { return {pages_, width_}; }
  std::int32_t token(std::int64_t p, std::int64_t s) const {
    return static_cast<std::int32_t>((p * 7919 + s * 104729) % session_.model().config.vocab);
  }
  void prefill() {
    std::vector<Row> rows;
    std::vector<std::int32_t> ends;
    const auto flush = [&] {
      session_.forward(rows, ends, table());
      rows.clear();
      ends.clear();
    };
    for (std::int64_t s = 0; s < batch_; ++s) {
      for (std::int64_t p = 0; p < from_; ++p) {
        if (static_cast<std::int64_t>(rows.size()) == session_.limits().rows) flush();
        if (p + 1 == from_) ends.push_back(static_cast<std::int32_t>(rows.size()));
        rows.push_back({token(p, s), static_cast<std::int32_t>(s), static_cast<std::int32_t>(p)});
      }
    }
    if (!rows.empty()) flush();
  }

  Session session_;
  std::int64_t width_, batch_, from_;
  bool ahead_;
  std::vector<std::int32_t> pages_, outputs_;
};

/// Median speeds, one for each variant, of five rounds in turns.
std::vector<double> measure(const std::vector<std::unique_ptr<Variant>>& variants,
                            std::int64_t batch, const Request& request) {
  constexpr std::size_t kRounds = 5;
  std::vector<std::unique_ptr<Bench>> benches;
  for (const auto& variant : variants) {
    benches.push_back(std::make_unique<Bench>(*variant, batch, request));
  }
  const auto round = [&](Bench& bench, std::int64_t tokens) {
    return request.prompt > 0 ? bench.prompt_round() : bench.round(tokens);
  };
  for (const auto& bench : benches) round(*bench, std::min<std::int64_t>(request.tokens, 8));
  std::vector<std::vector<double>> speeds(benches.size());
  for (std::size_t i = 0; i < kRounds; ++i) {
    for (std::size_t v = 0; v < benches.size(); ++v) {
      speeds[v].push_back(round(*benches[v], request.tokens));
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& all : speeds) {
    std::sort(all.begin(), all.end());
    medians.push_back(all[kRounds / 2]);
  }
  return medians;
}

int run(const Request& request) {
  if (request.device != "cuda" && request.device != "cpu") {
    throw Error("--device must be cuda or cpu, not '" + request.device + "'.");
  }
  if (request.dtype != "f16" && request.dtype != "int8" && request.dtype != "f32") {
    throw Error("--dtype must be f16, int8 or f32, not '" + request.dtype + "'.");
  }
  std::vector<std::unique_ptr<Variant>> variants;
  variants.push_back(std::make_unique<Variant>(request, ""));
  const std::int64_t context = variants[0]->model.config.context;
  if (request.tokens < 1 || request.from < 0 || request.from + request.tokens > context) {
    throw Error("--from and --tokens, at least 1, must fit the model's context, " +
                std::to_string(context) + ".");
  }
  for (const std::string& name : request.without) {
    if (name != "graph" && name != "pdl" && name != "few" && name != "wgmma" && name != "ahead") {
      throw Error("--without takes graph, pdl, few, wgmma and ahead, not '" + name + "'.");
    }
    variants.push_back(std::make_unique<Variant>(request, name));
  }
  std::string results;
  for (const std::int64_t batch : request.batches) {
    if (batch < 1) throw Error("A batch must be a whole number from 1.");
    const std::vector<double> speeds = measure(variants, batch, request);
    if (!results.empty()) results += ", ";
    results += "{\"batch\": " + std::to_string(batch) +
               ", \"tokens_per_second\": " + std::to_string(speeds[0]);
    for (std::size_t v = 1; v < speeds.size(); ++v) {
      results += ", \"without_" + variants[v]->without + "\": " + std::to_string(speeds[v]);
    }
    results += "}";
  }
  std::printf("[%s]\n", results.c_str());
  return 0;
}

}  // namespace
}  // namespace aira

int main(int argc, char** argv) {
  aira::Request request;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool option = argument.starts_with("--") && i + 1 < argc;
    if (option && argument == "--device") {
      request.device = argv[++i];
    } else if (option && argument == "--dtype") {
      request.dtype = argv[++i];
    } else if (option && argument == "--tokens") {
      request.tokens = std::atoll(argv[++i]);
    } else if (option && argument == "--from") {
      request.from = std::atoll(argv[++i]);
    } else if (option && argument == "--prompt") {
      request.prompt = request.from = std::atoll(argv[++i]);
    } else if (option && argument == "--rows") {
      request.rows = std::atoll(argv[++i]);
    } else if (option && argument == "--without") {
      std::istringstream names(argv[++i]);
      for (std::string name; std::getline(names, name, ',');) request.without.push_back(name);
    } else if (request.model.empty()) {
      request.model = argument;
    } else {
      request.batches.push_back(std::atoll(argument.c_str()));
    }
  }
  if (request.batches.empty()) {
    std::fprintf(stderr,
                 "usage: batch-bench MODEL [--device cpu|cuda] [--dtype f16|int8|f32] "
                 "[--tokens N] [--from N | --prompt N] [--rows N] [--without NAME,...] BATCH...\n");
    return 2;
  }
  try {
    return aira::run(request);
  } catch (const aira::Error& error) {
    std::fprintf(stderr, "batch-bench: error: %s\n", error.what());
    return 1;
  }
}
