// Speed of the forward pass in tokens/s, as llama-bench measures it: a prompt alone, and decoding
// alone from an empty context, one sequence or several side by side. Token ids are pseudo-random,
// so no tokenizer is needed.
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
  std::string test;            // "pp512", "tg128" as in llama-bench, "tg128x32" for 32 sequences
  std::vector<double> speeds;  // tokens/s, ascending

  double median() const {
    const std::size_t half = speeds.size() / 2;
    return speeds.size() % 2 == 1 ? speeds[half] : (speeds[half - 1] + speeds[half]) / 2;
  }
};

/// `count` positions of each of `sequences`, position by position; ids spread over the vocabulary,
/// the same ones every time.
std::vector<Row> pseudo_random_rows(std::int64_t count, std::int64_t sequences,
                                    std::int64_t vocab) {
  std::vector<Row> rows;
  std::uint64_t state = 42;
  for (std::int64_t i = 0; i < count * sequences; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    rows.push_back(
        {.token = static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(vocab)),
         .slot = static_cast<std::int32_t>(i % sequences),
         .position = static_cast<std::int32_t>(i / sequences)});
  }
  return rows;
}

/// What is measured: `tokens` positions of each sequence, in steps of `step` rows.
struct Test {
  std::string name;
  std::int64_t tokens = 0;
  std::int64_t sequences = 1;
  std::int64_t step = 1;
  bool decodes = false;  // something is drawn from each row, else from the very last
};

void run_rows(Session& session, std::span<const Row> rows, const Test& test) {
  std::vector<std::int32_t> wanted;
  while (!rows.empty()) {
    const auto part = rows.first(std::min(rows.size(), static_cast<std::size_t>(test.step)));
    rows = rows.subspan(part.size());
    wanted.clear();
    const auto count = static_cast<std::int32_t>(part.size());
    for (std::int32_t i = 0; i < count; ++i) {
      if (test.decodes || (rows.empty() && i == count - 1)) wanted.push_back(i);
    }
    session.forward(part, wanted);
    if (interrupted()) return;
  }
}

Measurement measure(Session& session, const Test& test, std::int64_t repetitions) {
  Measurement result{.test = test.name, .speeds = {}};
  const std::vector<Row> rows =
      pseudo_random_rows(test.tokens, test.sequences, session.model().config.vocab);
  const std::int64_t warm_up = test.decodes ? std::min<std::int64_t>(test.tokens, 8) : test.tokens;
  run_rows(session, std::span(rows).first(static_cast<std::size_t>(warm_up * test.sequences)),
           test);
  for (std::int64_t i = 0; i < repetitions && !interrupted(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    run_rows(session, rows, test);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    result.speeds.push_back(static_cast<double>(rows.size()) / elapsed.count());
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
  const std::int64_t batch = options.batch;
  Session session(model, *backend,
                  {.slots = batch,
                   .context = std::max<std::int64_t>({prompt, decode, 1}),
                   .rows = std::max(kPromptRows, batch),
                   .wanted = batch});
  catch_interrupts();
  ordered_json tests = ordered_json::array();
  const auto add = [&](const Test& test) {
    if (test.tokens == 0 || interrupted()) return;
    const Measurement result = measure(session, test, options.repetitions);
    if (!interrupted()) tests.push_back(to_json(result));
  };
  add({.name = "pp" + std::to_string(prompt), .tokens = prompt, .step = kPromptRows});
  std::string name = "tg" + std::to_string(decode);
  if (batch > 1) name.append("x").append(std::to_string(batch));
  add({.name = name, .tokens = decode, .sequences = batch, .step = batch, .decodes = true});
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
