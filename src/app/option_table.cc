// The table: one line per option, in the order of --help. Values are checked as they are read.
#include "app/option_table.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "aira/error.h"
#include "app/settings.h"
#include "base/printable.h"

namespace aira {
namespace {

std::int64_t whole_number(const std::string& option, const std::string& text, std::int64_t from,
                          std::int64_t to) {
  const nlohmann::json value = typed_value(text);
  if (value.is_number_integer() && value >= from && value <= to) return value.get<std::int64_t>();
  throw UsageError(option + " must be a whole number from " + std::to_string(from) + " to " +
                   std::to_string(to) + ", not " + quote(text) + ".");
}

/// What `name` is set to so far.
nlohmann::json given(const Settings& settings, const std::string& name, nlohmann::json otherwise) {
  for (const auto& [other, value] : settings) {
    if (other == name) otherwise = value;
  }
  return otherwise;
}

/// "17=-1.5" on top of the biases given before.
void add_bias(Settings& settings, const std::string& text) {
  const auto equals = std::min(text.find('='), text.size());
  const nlohmann::json id = typed_value(text.substr(0, equals));
  const nlohmann::json bias = typed_value(text.substr(std::min(equals + 1, text.size())));
  if (!id.is_number_unsigned() || id > std::numeric_limits<std::int32_t>::max() ||
      !bias.is_number() || !std::isfinite(bias.get<float>())) {
    throw UsageError("--logit-bias must be a token id, = and a finite number, not " + quote(text) +
                     ".");
  }
  nlohmann::json all = given(settings, "logit_bias", nlohmann::json::object());
  all[id.dump()] = bias;
  settings.emplace_back("logit_bias", all);
}

/// Adds options to one CLI11 application, which may outlive this.
class Builder {
 public:
  Builder(CLI::App& app, Options& options) : app_(app), options_(options) {}

  void model(bool runs);
  void input();
  void sampling();
  void answering();
  void batch();
  void tokenize();
  void bench();
  void output();

 private:
  using Take = std::function<void(const std::string&)>;

  void value(const char* names, const char* placeholder, const Take& take, const char* help) {
    app_.add_option_function<std::string>(names, take, help)
        ->option_text(placeholder)
        ->trigger_on_parse()  // as often as it is given, in order: the last one counts
        ->group(group_);
  }
  void flag(const char* names, bool& target, const char* help) {
    app_.add_flag(names, target, help)->disable_flag_override()->group(group_);
  }
  void setting(const std::string& name, const std::string& names, const char* placeholder,
               const char* help) {
    value(
        names.c_str(), placeholder,
        [&options = options_, name](const std::string& text) {
          options.settings.emplace_back(name, typed_value(text));
        },
        help);
  }

  void setting_flag(const std::string& name, const char* names, const char* help) {
    app_.add_flag_callback(
            names, [&options = options_, name] { options.settings.emplace_back(name, true); }, help)
        ->disable_flag_override()
        ->group(group_);
  }

  /// An option that may be given again: each adds a text to the setting's list.
  void texts(const std::string& name, const char* names, const char* help) {
    value(
        names, "TEXT",
        [&options = options_, name](const std::string& text) {
          nlohmann::json list = given(options.settings, name, nlohmann::json::array());
          list.push_back(text);
          options.settings.emplace_back(name, list);
        },
        help);
  }

  CLI::App& app_;
  Options& options_;
  const char* group_ = "";
};

void Builder::model(bool runs) {
  group_ = "Model";
  value(
      "-m,--model", "MODEL",
      [&options = options_](const std::string& text) { options.model = text; },
      "folder, or hub id in the local cache");
  if (!runs) return;
  value(
      "--device", "DEVICE",
      [&options = options_](const std::string& text) {
        if (text != "auto" && text != "cpu" && text != "cuda") {
          throw UsageError("--device must be auto, cpu or cuda, not " + quote(text) + ".");
        }
        options.device = text == "cpu"    ? DeviceChoice::kCpu
                         : text == "cuda" ? DeviceChoice::kCuda
                                          : DeviceChoice::kAuto;
      },
      "auto (a GPU if there is one), cpu or cuda");
  value(
      "--dtype", "TYPE",
      [&options = options_](const std::string& text) {
        if (text != "auto" && text != "f32" && text != "f16" && text != "int8") {
          throw UsageError("--dtype must be auto, f32, f16 or int8, not " + quote(text) + ".");
        }
        options.dtype = text == "f32" ? DType::kF32 : text == "int8" ? DType::kI8 : DType::kF16;
      },
      "weights while running: auto (f16), f32, f16 or int8");
  value(
      "-t,--threads", "N",
      [&options = options_](const std::string& text) {
        options.threads = static_cast<int>(whole_number("--threads", text, 1, 1024));
      },
      "CPU threads (all physical cores)");
}

void Builder::input() {
  group_ = "Input";
  value(
      "-f,--file", "FILE", [&options = options_](const std::string& text) { options.file = text; },
      "one question per line; - is stdin");
}

void Builder::sampling() {
  group_ = "Sampling (defaults are the model's)";
  setting("max_new_tokens", "--max-new-tokens", "N", "most tokens of an answer (200)");
  setting("temperature", "--temperature", "T", "above 0; low is sober, high is wild (0.2)");
  setting("top_k", "--top-k", "K", "only the K most probable tokens; 0 is off (30)");
  setting("top_p", "--top-p", "P", "only the most probable ones up to P; 1 is off (0.3)");
  setting("min_p", "--min-p", "P", "at least P times as probable as the best one (0)");
  setting("typical_p", "--typical-p", "P", "the most typical tokens up to P; 1 is off (1)");
  setting("repetition_penalty", "--repetition-penalty", "R", "above 1 avoids repeating (1.2)");
  setting("no_repeat_ngram_size", "--no-repeat-ngram-size", "N",
          "no N tokens twice in the same order; 0 is off (0)");
  setting("min_new_tokens", "--min-new-tokens", "N", "no end before so many tokens (0)");
  texts("bad_words", "--bad-words", "a text that must not come up; may be given again");
  value(
      "--logit-bias", "ID=BIAS",
      [&options = options_](const std::string& text) { add_bias(options.settings, text); },
      "added to a token's score; may be given again");
  setting_flag("greedy", "--greedy", "always the most probable token");
  setting("seed", "--seed", "N", "same seed, same answer (drawn once per run)");
  setting("num_return_sequences", "-n,--num-return-sequences", "N", "answers per question (1)");
  setting("best_of", "--best-of", "N", "sample N answers, print the most probable");
  setting("num_beams", "--num-beams", "N", "beam search instead of sampling (1)");
  setting("length_penalty", "--length-penalty", "P", "beams: above 0 prefers long answers (0.3)");
  setting("early_stopping", "--early-stopping", "WHEN",
          "beams: true, false or never, as in transformers (true)");
  texts("stop", "--stop", "also end at this text; may be given again");
  setting_flag("stop_on_loop", "--stop-on-loop", "end an answer that begins to repeat itself");
}

void Builder::answering() {
  group_ = "Answering";
  flag("--raw", options_.raw, "complete the text as it stands, no question markers");
  flag("--history", options_.history, "chat: earlier turns stay in the prompt");
  flag("--numbered", options_.numbered, "\"Response 1: \" before each answer");
  flag("--jsonl", options_.jsonl, "JSON lines in and out");
  setting("logprobs", "--logprobs", "K", "JSON lines: each token's log-probability and the top K");
  batch();
}

void Builder::batch() {
  value(
      "--batch", "N",
      [&options = options_](const std::string& text) {
        options.batch = whole_number("--batch", text, 1, 4096);
      },
      "most answers or texts at work at once (32)");
}

void Builder::tokenize() {
  group_ = "Tokens";
  flag("--jsonl", options_.jsonl, "JSON lines: {\"text\"} to {\"ids\"}");
  flag("--plain", options_.plain, "special tokens in the text are plain text");
  flag("--decode", options_.decode, "from ids to text");
}

void Builder::bench() {
  group_ = "Bench";
  const auto count = [this](const char* names, const char* option, std::int64_t from, auto& target,
                            const char* help) {
    value(
        names, "N",
        [option, from, &target](const std::string& text) {
          target = whole_number(option, text, from, 1'000'000);
        },
        help);
  };
  count("-p,--prompt-tokens", "--prompt-tokens", 0, options_.prompt_tokens,
        "length of the prompt (512); 0 leaves it out");
  count("-n,--decode-tokens", "--decode-tokens", 0, options_.decode_tokens,
        "tokens to decode (64); 0 leaves it out");
  count("-r,--repetitions", "--repetitions", 1, options_.repetitions, "rounds (5)");
}

void Builder::output() {
  group_ = "Output";
  if (options_.command == Command::kAsk) {
    flag("--stats", options_.stats, "after each answer: tokens, speed, memory, seed (stderr)");
  }
  if (options_.command == Command::kInfo || options_.command == Command::kBench) {
    flag("--json", options_.json, "as one JSON object");
  }
  flag("-q,--quiet", options_.quiet, "only errors on stderr");
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  Builder builder(app, options);
  builder.model(options.command != Command::kTokenize);
  switch (options.command) {
    case Command::kAsk:
      app.add_option_function<std::string>(
          "QUESTION", [&options](const std::string& text) { options.question = text; });
      builder.input();
      builder.sampling();
      builder.answering();
      break;
    case Command::kTokenize:
      builder.input();
      builder.tokenize();
      break;
    case Command::kScore:
      builder.input();
      builder.batch();
      break;
    case Command::kBench:
      builder.bench();
      break;
    case Command::kInfo:
      break;
  }
  builder.output();
  app.set_help_flag();  // where CLI11 put it, so that it comes last
  app.set_help_flag("-h,--help", "print this and exit")->group("Output");
  if (options.command == Command::kAsk) {
    app.set_version_flag("--version", std::string("aira-cli ") + AIRA_VERSION,
                         "print the version and exit")
        ->group("Output");
  }
}

}  // namespace aira
