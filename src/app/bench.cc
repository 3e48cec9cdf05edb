// bench: the speed of a prompt, of decoding near the start and the end of the context, and of many
// sequences at once. Each round runs every test once, so that other load on the machine affects all
// of them alike; figures are medians. Token ids are pseudo-random, so no tokenizer is needed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "app/model_lookup.h"
#include "app/output.h"
#include "app/plot.h"
#include "base/huge_pages.h"
#include "base/memory_speed.h"
#include "model/weight_cache.h"
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
constexpr std::int64_t kMost = 1'000'000;                     // of what an option counts
constexpr std::size_t kMemoryBytes = std::size_t{512} << 20;  // much more than caches hold

struct BenchOptions : CommonOptions {
  std::optional<std::int64_t> prompt_tokens;  // default 512, or the context where that is less
  std::optional<std::int64_t> decode_tokens;  // default 64, or what fits
  std::int64_t repetitions = 5;
  std::optional<std::string> plot;  // an SVG to be written
};

/// Positions [begin, end) of the first `sequences` slots, `step` of each at once.
struct Test {
  const char* name;
  Session& session;
  std::int64_t sequences, begin, end, step;
  std::vector<double> seconds = {};  // of each round

  void run() const;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Some id, the same one every time at a position of a sequence.
std::int32_t token_at(std::int64_t slot, std::int64_t position, std::int64_t vocab) {
  return static_cast<std::int32_t>((slot + 1) * (position + 1) * 7919 % vocab);
}

/// Computes logits for the last position of each sequence, and with steps of one for all.
void Test::run() const {
  const std::int64_t vocab = session.model().config.vocab;
  std::vector<Row> rows;
  std::vector<std::int32_t> wanted;
  for (std::int64_t at = begin; at < end; at += step) {
    rows.clear();
    wanted.clear();
    const std::int64_t stop = std::min(end, at + step);
    for (std::int64_t slot = 0; slot < sequences; ++slot) {
      for (std::int64_t p = at; p < stop; ++p) {
        rows.push_back({.token = token_at(slot, p, vocab),
                        .slot = static_cast<std::int32_t>(slot),
                        .position = static_cast<std::int32_t>(p)});
      }
      if (step == 1 || stop == end) wanted.push_back(static_cast<std::int32_t>(rows.size()) - 1);
    }
    session.forward(rows, wanted);
  }
}

/// Bytes of the weights that a decoding step reads; 0 when the backend does not say.
double step_bytes(const Model& model, const Backend& backend) {
  if (backend.packing() == nullptr) return 0;
  const bool own_head = model.head.data != model.token_embedding.data;
  return static_cast<double>(
      packed_size(model.config, own_head, *backend.packing(), model.dtype).step);
}

/// The tests that the model's context and the options allow, with what stands before their
/// positions computed. `one` and `many` must outlive them.
std::vector<Test> make_tests(const BenchOptions& options, Session& one, Session& many) {
  std::vector<Test> tests;
  const std::int64_t context = one.limits().context;
  const std::int64_t tokens = options.prompt_tokens.value_or(std::min(kPromptTokens, context));
  if (tokens > 0) tests.push_back({"prompt", one, 1, 0, tokens, kPromptRows});
  const auto add_decode = [&](Session& session, std::int64_t sequences, std::int64_t position) {
    const std::int64_t wanted = options.decode_tokens.value_or(kDecodeTokens);
    const std::int64_t begin =
        options.decode_tokens ? std::min(position, session.limits().context - wanted) : position;
    const std::int64_t end = std::min(begin + wanted, session.limits().context);
    if (end <= begin) return;
    Test{"", session, sequences, 0, begin, kPromptRows / sequences}.run();
    tests.push_back({"decode", session, sequences, begin, end, 1});
  };
  const std::int64_t near = std::min(kNear, context - 1);
  add_decode(one, 1, near);
  if (options.decode_tokens.value_or(1) > 0 && context > kFar) add_decode(one, 1, kFar);
  for (const std::int64_t sequences : kBatches) add_decode(many, sequences, near);
  return tests;
}

ordered_json result_of(const Test& test, double step_bytes, double bandwidth) {
  const bool decodes = test.step == 1;
  ordered_json result = {{"test", test.name}, {"tokens", test.end - test.begin}};
  if (decodes) result["position"] = test.begin;
  result["sequences"] = test.sequences;
  const auto tokens = static_cast<double>((test.end - test.begin) * test.sequences);
  const double speed = tokens / median(test.seconds);
  result["tokens_per_second"] = speed;
  if (decodes && step_bytes > 0) {
    const double steps = speed / static_cast<double>(test.sequences);
    result["percent_of_bandwidth"] = 100 * steps * step_bytes / bandwidth;
  }
  result["rounds"] = test.seconds.size();
  return result;
}

/// What a test measured, for people.
std::string label_of(const ordered_json& test) {
  const std::string tokens = test["tokens"].dump();
  if (!test.contains("position")) return message("prompt {}", {tokens});
  const std::string position = test["position"].dump();
  if (test["sequences"] == 1) return message("decode {} at {}", {tokens, position});
  return message("decode {} at {}, {} sequences", {tokens, position, test["sequences"].dump()});
}

std::string report_table(const ordered_json& report) {
  const auto text = [&](const char* key) { return report[key].get<std::string>(); };
  std::string table = message("model: {}\ndtype: {}\nbackend: {}\nmemory bandwidth: {} GB/s\n",
                              {text("model"), text("dtype"), text("backend"),
                               format("%.1f", report["memory_gb_per_second"].get<double>())});
  table += padded("", 32) + format(" %12s  ", message("tokens/s").c_str()) +
           message("of bandwidth") + "\n";
  for (const ordered_json& test : report["tests"]) {
    table +=
        padded(label_of(test), 32) + format(" %12.2f", test["tokens_per_second"].get<double>());
    if (test.contains("percent_of_bandwidth")) {
      table += format(" %6.0f %%", test["percent_of_bandwidth"].get<double>());
    }
    table += "\n";
  }
  return table;
}

Chart chart_of(const ordered_json& report, std::span<const Test> tests) {
  const auto text = [&](const char* key) { return report[key].get<std::string>(); };
  Chart chart = {.title = message("Speed of {}", {text("model")}),
                 .subtitle = message("{}, {}; median of {} rounds, lines from the slowest to the "
                                     "fastest",
                                     {text("backend"), text("dtype"),
                                      std::to_string(tests.front().seconds.size())}),
                 .axis = message("tokens per second; longer is better"),
                 .bars = {}};
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const auto& [fastest, slowest] =
        std::minmax_element(tests[i].seconds.begin(), tests[i].seconds.end());
    const double speed = report["tests"][i]["tokens_per_second"];
    const double tokens = speed * median(tests[i].seconds);
    chart.bars.push_back(
        {label_of(report["tests"][i]), speed, tokens / *slowest, tokens / *fastest});
  }
  return chart;
}

int run_bench(const BenchOptions& options) {
  ModelOnBackend setup(options);
  auto& [found, pool, backend] = setup;
  const std::int64_t context = read_model_config(found.files).context;
  if (std::max(options.prompt_tokens.value_or(0), options.decode_tokens.value_or(0)) > context) {
    throw Error("[E283] The model's context holds {} tokens; {} and {} must not be larger.",
                {std::to_string(context), "-p", "-n"});
  }
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
  std::vector<Test> tests = make_tests(options, one, many);
  const auto memory = allocate_huge_pages(kMemoryBytes);
  if (!memory) throw Error("[E284] There is not enough memory to measure how fast it is.");
  const std::span words(reinterpret_cast<std::uint64_t*>(memory.get()), kMemoryBytes / 8);
  std::iota(words.begin(), words.end(), 0);
  std::vector<double> speeds;
  for (Test& test : tests) test.run();  // to warm up
  for (std::int64_t round = 0; round < options.repetitions; ++round) {
    speeds.push_back(read_speed(words, pool));
    for (Test& test : tests) {
      const auto start = std::chrono::steady_clock::now();
      test.run();
      test.seconds.push_back(seconds_since(start));
    }
  }
  ordered_json report = {{"model", found.name},
                         {"dtype", name_of(model.dtype)},
                         {"backend", backend->description()},
                         {"threads", pool.size()},
                         {"memory_gb_per_second", median(speeds) / 1e9},
                         {"tests", ordered_json::array()}};
  for (const Test& test : tests) {
    report["tests"].push_back(result_of(test, step_bytes(model, *backend), median(speeds)));
  }
  options.json ? print_json(report) : print(report_table(report));
  if (options.plot) write_plot(chart_of(report, tests), *options.plot);
  return kDone;
}

}  // namespace

Action set_up_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  app.description(
      message("aira-cli bench [options]          Measure prompts, decoding and many sequences"));
  app.footer(
      message("Decoding computes all logits of fixed tokens; sampling is not part of the time.") +
      "\n\n" + message("Examples:") + R"(
  aira-cli bench
  aira-cli bench --plot bench.svg
  aira-cli bench -m ./model -p 512 -n 64 -r 5 -t 2 --json)");
  add_model_options(app, *options, true);
  app.option_defaults()->group(message("Bench"));
  add_count(app, "-p,--prompt-tokens", options->prompt_tokens, 0, kMost,
            message("Length of the prompt (512); 0 = none").c_str());
  add_count(app, "-n,--decode-tokens", options->decode_tokens, 0, kMost,
            message("Tokens to decode (64); 0 = none").c_str());
  add_count(app, "-r,--repetitions", options->repetitions, 1, kMost, message("Rounds (5)").c_str());
  app.option_defaults()->group(message("Output"));
  app.add_flag("--json", options->json, message("Print one JSON object"));
  add_text(app, "--plot", options->plot, "FILE", message("Also draw a chart, as SVG").c_str());
  add_quiet(app, *options);
  app.final_callback([options] {
    if (options->plot) check_plot(*options->plot);
    if (options->prompt_tokens == 0 && options->decode_tokens == 0) {
      throw UsageError("[E285] With {} and {} there is nothing to measure.", {"-p 0", "-n 0"});
    }
  });
  return [options] { return run_bench(*options); };
}

}  // namespace aira
