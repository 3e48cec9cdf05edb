// batch-bench MODEL [--device cpu|cuda] [--dtype f16|f32] [--tokens N] BATCH...: decodes N tokens
// (128) in each of BATCH sequences at once, from an empty cache, and prints a JSON list of
// tokens/s, medians of five rounds. Logits come to host memory, as they do in the program.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "aira/error.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "model/model.h"

namespace aira {
namespace {

/// Tokens/s of one round; the ids are any, the work is the same.
double round(Session& session, std::int64_t batch, std::int64_t tokens) {
  const auto vocab = session.model().config.vocab;
  std::vector<std::int32_t> wanted;
  for (std::int64_t s = 0; s < batch; ++s) wanted.push_back(static_cast<std::int32_t>(s));
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t p = 0; p < tokens; ++p) {
    std::vector<Row> rows;
    for (std::int64_t s = 0; s < batch; ++s) {
      rows.push_back({.token = static_cast<std::int32_t>((p * 7919 + s * 104729) % vocab),
                      .slot = static_cast<std::int32_t>(s),
                      .position = static_cast<std::int32_t>(p)});
    }
    session.forward(rows, wanted);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return static_cast<double>(batch * tokens) / elapsed.count();
}

struct Request {
  std::string model, device = "cuda", dtype = "f16";
  std::int64_t tokens = 128;
  std::vector<std::int64_t> batches;
};

int run(const Request& request) {
  if (request.device != "cuda" && request.device != "cpu") {
    throw Error("--device must be cuda or cpu, not '" + request.device + "'.");
  }
  if (request.dtype != "f16" && request.dtype != "f32") {
    throw Error("--dtype must be f16 or f32, not '" + request.dtype + "'.");
  }
  const ModelFiles files = ModelFiles::from_folder(request.model);
  const DType dtype = request.dtype == "f32" ? DType::kF32 : DType::kF16;
  ThreadPool pool(ThreadPool::usable_cores());
  const std::unique_ptr<Backend> backend =
      make_backend(request.device == "cuda" ? Device::kCuda : Device::kCpu, dtype, pool);
  const Model model = Model::load(files, *backend, dtype);
  if (request.tokens < 1 || request.tokens > model.config.context) {
    throw Error("--tokens must be from 1 to the model's context, " +
                std::to_string(model.config.context) + ".");
  }
  std::string results;
  for (const std::int64_t batch : request.batches) {
    if (batch < 1) throw Error("A batch must be a whole number from 1.");
    Session session(
        model, *backend,
        {.slots = batch, .context = request.tokens, .rows = batch, .output_rows = batch});
    round(session, batch, std::min<std::int64_t>(request.tokens, 8));
    std::vector<double> speeds;
    for (int i = 0; i < 5; ++i) speeds.push_back(round(session, batch, request.tokens));
    std::sort(speeds.begin(), speeds.end());
    if (!results.empty()) results += ", ";
    results += "{\"batch\": " + std::to_string(batch) +
               ", \"tokens_per_second\": " + std::to_string(speeds[2]) + "}";
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
    } else if (request.model.empty()) {
      request.model = argument;
    } else {
      request.batches.push_back(std::atoll(argument.c_str()));
    }
  }
  if (request.batches.empty()) {
    std::fprintf(stderr,
                 "usage: batch-bench MODEL [--device cpu|cuda] [--dtype f16|f32] "
                 "[--tokens N] BATCH...\n");
    return 2;
  }
  try {
    return aira::run(request);
  } catch (const aira::Error& error) {
    std::fprintf(stderr, "batch-bench: error: %s\n", error.what());
    return 1;
  }
}
