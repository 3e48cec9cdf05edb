// bench: the speed of a prompt, of decoding near the start and the end of the context, and of many
// sequences at once. Each round runs every test once, so that other load on the machine affects all
// of them alike; figures are medians. Token ids are pseudo-random, so no tokenizer is needed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "aira/error.h"
#include "app/answering.h"
#include "app/bandwidth.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "device/device.h"
#include "model/model.h"
#include "run/task.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kPromptRows = 256;  // of one step; the same as in generation
constexpr std::int64_t kPromptTokens = 512;
constexpr std::int64_t kDecodeTokens = 64;
constexpr std::int64_t kNear = 16;  // positions at which decoding begins
constexpr std::int64_t kFar = 1000;
constexpr std::array<std::int64_t, 2> kBatches = {8, 32};

struct BenchOptions : CommonOptions {
  std::optional<std::int64_t> prompt_tokens;  // default 512, or the context where that is less
  std::optional<std::int64_t> decode_tokens;  // default 64, or what fits
  std::int64_t repetitions = 5;
  bool json = false;
};

/// A measurement and the seconds that each round took.
struct Test {
  ordered_json about;  // "test", "tokens", ...
  std::function<void()> run;
  double tokens = 0;
  double sequences = 0;  // of each step, when reading the weights dominates it; else 0
  std::vector<double> seconds = {};
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return seconds_since(start);
}

/// Some id, the same one every time at a position of a sequence.
std::int32_t token_at(std::int64_t slot, std::int64_t position, std::int64_t vocab) {
  const auto place = static_cast<std::uint64_t>(slot * 1'000'003 + position + 1);
  return static_cast<std::int32_t>((place * 6364136223846793005U >> 33) %
                                   static_cast<std::uint64_t>(vocab));
}

/// Positions [begin, end) of one sequence, in large steps; logits for the last of all.
void prompt(Session& session, std::int64_t slot, std::int64_t begin, std::int64_t end) {
  std::vector<Row> rows;
  for (std::int64_t at = begin; at < end && !interrupted(); at += kPromptRows) {
    rows.clear();
    for (std::int64_t p = at; p < std::min(end, at + kPromptRows); ++p) {
      rows.push_back({.token = token_at(slot, p, session.model().config.vocab),
                      .slot = static_cast<std::int32_t>(slot),
                      .position = static_cast<std::int32_t>(p)});
    }
    const std::array<std::int32_t, 1> last = {static_cast<std::int32_t>(rows.size()) - 1};
    session.forward(rows, std::span(last).first(at + kPromptRows >= end ? 1 : 0));
  }
}

/// Positions [begin, end) of the first `sequences` slots, one of each in a step.
void decode(Session& session, std::int64_t sequences, std::int64_t begin, std::int64_t end) {
  const std::int64_t vocab = session.model().config.vocab;
  std::vector<Row> rows(static_cast<std::size_t>(sequences));
  std::vector<std::int32_t> wanted(rows.size());
  std::iota(wanted.begin(), wanted.end(), 0);
  for (std::int64_t p = begin; p < end && !interrupted(); ++p) {
    for (std::size_t s = 0; s < rows.size(); ++s) {
      rows[s] = {token_at(wanted[s], p, vocab), wanted[s], static_cast<std::int32_t>(p)};
    }
    session.forward(rows, wanted);
  }
}

/// Bytes of the weights that a decoding step reads; 0 when the backend does not say.
double step_bytes(const Model& model, const Backend& backend) {
  const Packing* packing = backend.packing();
  if (packing == nullptr) return 0;
  const auto bytes = [&](const Matrix& m) { return packing->bytes(m.dtype, m.in, m.out); };
  std::int64_t sum = bytes(model.head);
  for (const LayerWeights& w : model.layers) {
    sum += bytes(w.attn_qkv) + bytes(w.attn_out) + bytes(w.mlp_in) + bytes(w.mlp_out);
  }
  return static_cast<double>(sum);
}

/// The tests that the model's context and the options allow. `one` and `many` must outlive them.
std::vector<Test> make_tests(const BenchOptions& options, Session& one, Session& many) {
  std::vector<Test> tests;
  const std::int64_t context = one.limits().context;
  const std::int64_t tokens = options.prompt_tokens.value_or(std::min(kPromptTokens, context));
  if (tokens > 0) {
    tests.push_back({{{"test", "prompt"}, {"tokens", tokens}, {"sequences", 1}},
                     [&one, tokens] { prompt(one, 0, 0, tokens); },
                     static_cast<double>(tokens)});
  }
  const auto add_decode = [&](Session& session, std::int64_t sequences, std::int64_t position) {
    const std::int64_t wanted = options.decode_tokens.value_or(kDecodeTokens);
    const std::int64_t begin =
        options.decode_tokens ? std::min(position, session.limits().context - wanted) : position;
    const std::int64_t end = std::min(begin + wanted, session.limits().context);
    if (end <= begin) return;
    for (std::int64_t slot = 0; slot < sequences; ++slot) prompt(session, slot, 0, begin);
    tests.push_back({{{"test", "decode"},
                      {"tokens", end - begin},
                      {"position", begin},
                      {"sequences", sequences}},
                     [&session, sequences, begin, end] { decode(session, sequences, begin, end); },
                     static_cast<double>((end - begin) * sequences),
                     static_cast<double>(sequences)});
  };
  add_decode(one, 1, std::min(kNear, context - 1));
  if (options.decode_tokens.value_or(1) > 0 && context > kFar) add_decode(one, 1, kFar);
  for (const std::int64_t sequences : kBatches) {
    add_decode(many, sequences, std::min(kNear, context - 1));
  }
  return tests;
}

ordered_json result_of(const Test& test, double step_bytes, double bandwidth) {
  ordered_json result = test.about;
  const double seconds = median(test.seconds);
  const auto [least, most] = std::minmax_element(test.seconds.begin(), test.seconds.end());
  result["tokens_per_second"] = test.tokens / seconds;
  result["slowest"] = test.tokens / *most;
  result["fastest"] = test.tokens / *least;
  if (test.sequences > 0 && step_bytes > 0) {
    const double steps = test.tokens / test.sequences / seconds;
    result["percent_of_bandwidth"] = 100 * steps * step_bytes / bandwidth;
  }
  result["rounds"] = test.seconds.size();
  return result;
}

void print_table(const ordered_json& report) {
  std::string table;
  for (const char* name : {"model", "dtype", "backend"}) {
    table += std::string(name) + ": " + report[name].get<std::string>() + "\n";
  }
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "memory bandwidth: %.1f GB/s\n%-32s %12s %12s %12s  %s\n",
                report["memory_gb_per_second"].get<double>(), "tokens/s", "median", "slowest",
                "fastest", "of bandwidth");
  table += line.data();
  for (const ordered_json& test : report["tests"]) {
    std::string name = test["test"].get<std::string>() + " " + test["tokens"].dump();
    if (test.contains("position")) name += " at " + test["position"].dump();
    if (test.value("sequences", 1) > 1) name += ", " + test["sequences"].dump() + " sequences";
    std::snprintf(line.data(), line.size(), "%-32s %12.2f %12.2f %12.2f", name.c_str(),
                  test["tokens_per_second"].get<double>(), test["slowest"].get<double>(),
                  test["fastest"].get<double>());
    table += line.data();
    if (test.contains("percent_of_bandwidth")) {
      std::snprintf(line.data(), line.size(), " %6.0f %%",
                    test["percent_of_bandwidth"].get<double>());
      table += line.data();
    }
    table += "\n";
  }
  print(table);
}

int run_bench(const BenchOptions& options) {
  const FoundModel found = find_model(options);
  const std::int64_t context = read_model_config(found.files).context;
  if (std::max(options.prompt_tokens.value_or(0), options.decode_tokens.value_or(0)) > context) {
    throw Error("The model's context holds " + std::to_string(context) +
                " tokens; -p and -n must not be larger.");
  }
  ThreadPool pool(threads_of(options));
  const std::unique_ptr<Backend> backend =
      make_backend(options.device, options.dtype, pool, notice_of(options));
  // Converted, not mapped from the packed file, which is copied into 2 MB pages some time after
  // the start, in the middle of a test.
  const Model model = Model::load(found.files, *backend, options.dtype);
  Session one(model, *backend, {.slots = 1, .rows = kPromptRows, .output_rows = 1});
  const std::int64_t room = kNear + options.decode_tokens.value_or(kDecodeTokens);
  Session many(model, *backend,
               {.slots = kBatches.back(),
                .context = std::min(context, room),
                .rows = kPromptRows,
                .output_rows = kBatches.back()});
  catch_interrupts();
  std::vector<Test> tests = make_tests(options, one, many);
  Bandwidth memory(threads_of(options));
  std::vector<double> speeds;
  for (Test& test : tests) test.run();  // to warm up
  for (std::int64_t round = 0; round < options.repetitions && !interrupted(); ++round) {
    speeds.push_back(memory.measure());
    for (Test& test : tests) test.seconds.push_back(seconds_of(test.run));
  }
  if (interrupted()) return kInterrupted;
  ordered_json results = ordered_json::array();
  for (const Test& test : tests) {
    results.push_back(result_of(test, step_bytes(model, *backend), median(speeds)));
  }
  const ordered_json report = {{"model", found.name},
                               {"dtype", name_of(model.dtype)},
                               {"backend", backend->description()},
                               {"threads", threads_of(options)},
                               {"memory_gb_per_second", median(speeds) / 1e9},
                               {"tests", results}};
  if (options.json) {
    print(report.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  } else {
    print_table(report);
  }
  return kDone;
}

}  // namespace

Action set_up_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  app.description("aira-cli bench [options]          Measure prompts, decoding and many sequences");
  app.footer(R"(Decoding computes all logits of fixed tokens; sampling is not part of the time.

Examples:
  aira-cli bench
  aira-cli bench -m ./model -p 512 -n 64 -r 5 -t 2 --json)");
  add_model_options(app, *options, true);
  app.option_defaults()->group("Bench");
  const auto add_count = [&](const char* names, auto& count, std::int64_t from, const char* help) {
    app.add_option(names, count, help)->option_text("N")->check(whole_number(from, 1'000'000));
  };
  add_count("-p,--prompt-tokens", options->prompt_tokens, 0,
            "Length of the prompt (512); 0 = none");
  add_count("-n,--decode-tokens", options->decode_tokens, 0, "Tokens to decode (64); 0 = none");
  add_count("-r,--repetitions", options->repetitions, 1, "Rounds (5)");
  app.add_flag("--json", options->json, "Print one JSON object")->group("Output");
  add_quiet(app, *options);
  app.final_callback([options] {
    if (options->prompt_tokens == 0 && options->decode_tokens == 0) {
      throw UsageError("With -p 0 and -n 0 there is nothing to measure.");
    }
  });
  return [options] { return run_bench(*options); };
}

}  // namespace aira
