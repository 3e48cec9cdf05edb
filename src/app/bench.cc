// Speed of the forward pass in tokens/s, as llama-bench measures it: a prompt alone, and decoding
// alone from an empty context. Token ids are pseudo-random, so no tokenizer is needed.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "aira/error.h"
#include "aira/model.h"
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/output.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kPromptRows = 256;  // of one step; the same as in generation

constexpr std::int64_t kPromptTokens = 512;  // llama-bench's defaults
constexpr std::int64_t kDecodeTokens = 128;

struct Measurement {
  std::string test;            // "pp512", "tg128" as in llama-bench
  std::vector<double> speeds;  // tokens/s, ascending

  double median() const {
    const std::size_t half = speeds.size() / 2;
    return speeds.size() % 2 == 1 ? speeds[half] : (speeds[half - 1] + speeds[half]) / 2;
  }
};

/// Ids spread over the vocabulary, the same ones every time.
std::vector<Row> pseudo_random_rows(std::int64_t count, std::int64_t vocab) {
  std::vector<Row> rows;
  std::uint64_t state = 42;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    rows.push_back(
        {.token = static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(vocab)),
         .slot = 0,
         .position = static_cast<std::int32_t>(i)});
  }
  return rows;
}

/// Runs `rows` in steps of `step` rows; logits are computed for the last row of each step that
/// something would be drawn from.
void run_rows(Session& session, std::span<const Row> rows, std::int64_t step) {
  while (!rows.empty()) {
    const auto part = rows.first(std::min(rows.size(), static_cast<std::size_t>(step)));
    rows = rows.subspan(part.size());
    const std::array<std::int32_t, 1> last = {static_cast<std::int32_t>(part.size()) - 1};
    const bool wanted = rows.empty() || step == 1;
    session.forward(part, std::span(last).first(wanted ? 1 : 0));
    if (interrupted()) return;
  }
}

Measurement measure(Session& session, const std::string& test, std::int64_t tokens,
                    std::int64_t step, std::int64_t repetitions) {
  Measurement result{.test = test + std::to_string(tokens), .speeds = {}};
  const std::vector<Row> rows = pseudo_random_rows(tokens, session.model().config.vocab);
  const std::int64_t warm_up = step == 1 ? std::min<std::int64_t>(tokens, 8) : tokens;
  run_rows(session, std::span(rows).first(static_cast<std::size_t>(warm_up)), step);
  for (std::int64_t i = 0; i < repetitions && !interrupted(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    run_rows(session, rows, step);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    result.speeds.push_back(static_cast<double>(tokens) / elapsed.count());
  }
  std::sort(result.speeds.begin(), result.speeds.end());
  return result;
}

ordered_json to_json(const Measurement& measurement) {
  return {{"test", measurement.test},
          {"tokens_per_second", measurement.median()},
          {"slowest", measurement.speeds.front()},
          {"fastest", measurement.speeds.back()},
          {"repetitions", measurement.speeds.size()}};
}

void print_table(const ordered_json& report) {
  std::string table;
  for (const char* name : {"model", "dtype", "backend"}) {
    table += std::string(name) + ": " + report[name].get<std::string>() + "\n";
  }
  std::array<char, 128> line{};
  std::snprintf(line.data(), line.size(), "%-10s %12s %12s %12s\n", "test", "tokens/s", "slowest",
                "fastest");
  table += line.data();
  for (const ordered_json& test : report["tests"]) {
    std::snprintf(line.data(), line.size(), "%-10s %12.2f %12.2f %12.2f\n",
                  test["test"].get_ref<const std::string&>().c_str(),
                  test["tokens_per_second"].get<double>(), test["slowest"].get<double>(),
                  test["fastest"].get<double>());
    table += line.data();
  }
  print(table);
}

}  // namespace

int run_bench(const Options& options) {
  const FoundModel found = find_model(options);
  const std::int64_t context = read_model_config(found.files).context;
  const std::int64_t prompt = options.prompt_tokens.value_or(std::min(kPromptTokens, context));
  const std::int64_t decode = options.decode_tokens.value_or(std::min(kDecodeTokens, context));
  if (std::max(prompt, decode) > context) {
    throw Error("The model's context holds " + std::to_string(context) +
                " tokens; -p and -n must not be larger.");
  }
  const std::unique_ptr<Backend> backend = make_backend(options);
  const Model model = Model::load(found.files, *backend, options.dtype);
  Session session(model, *backend, {.slots = 1, .rows = kPromptRows, .wanted = 1});
  catch_interrupts();
  ordered_json tests = ordered_json::array();
  const auto add = [&](const char* test, std::int64_t tokens, std::int64_t step) {
    if (tokens == 0 || interrupted()) return;
    const Measurement result = measure(session, test, tokens, step, options.repetitions);
    if (!interrupted()) tests.push_back(to_json(result));
  };
  add("pp", prompt, kPromptRows);
  add("tg", decode, 1);
  if (interrupted()) return kInterrupted;
  const ordered_json report = {{"model", found.name},
                               {"dtype", name_of(model.dtype)},
                               {"backend", backend->description()},
                               {"threads", threads_of(options)},
                               {"tests", tests}};
  if (options.json) {
    print(report.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  } else {
    print_table(report);
  }
  return kDone;
}

}  // namespace aira
