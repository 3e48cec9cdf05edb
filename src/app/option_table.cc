// The table: one line per option, in the order of --help. Values are checked as they are read.
#include "app/option_table.h"

#include <cstdint>
#include <functional>
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

/// Adds options to one CLI11 application, which may outlive this.
class Builder {
 public:
  Builder(CLI::App& app, Options& options) : app_(app), options_(options) {}

  void model(bool runs);
  void input();
  void sampling();
  void answering();
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
        if (text != "auto" && text != "f16" && text != "f32") {
          throw UsageError("--dtype must be auto, f32 or f16, not " + quote(text) + ".");
        }
        options.dtype = text == "f32" ? DType::kF32 : DType::kF16;
      },
      "weights while running: auto (f16), f32 or f16");
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
  setting("repetition_penalty", "--repetition-penalty", "R", "above 1 avoids repeating (1.2)");
  app_.add_flag_callback(
          "--greedy", [&options = options_] { options.settings.emplace_back("greedy", true); },
          "always the most probable token")
      ->disable_flag_override()
      ->group(group_);
  setting("seed", "--seed", "N", "same seed, same answer (drawn once per run)");
  setting("num_return_sequences", "-n,--num-return-sequences", "N", "answers per question (1)");
  value(
      "--stop", "TEXT",
      [&options = options_](const std::string& text) {
        nlohmann::json texts = nlohmann::json::array();
        for (const auto& [name, value] : options.settings) {
          if (name == "stop") texts = value;
        }
        texts.push_back(text);
        options.settings.emplace_back("stop", texts);
      },
      "also end at this text; may be given again");
}

void Builder::answering() {
  group_ = "Answering";
  flag("--raw", options_.raw, "complete the text as it stands, no question markers");
  flag("--history", options_.history, "chat: earlier turns stay in the prompt");
  flag("--jsonl", options_.jsonl, "JSON lines in and out");
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
