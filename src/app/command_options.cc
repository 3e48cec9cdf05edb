// The options that several commands have.
#include <CLI/CLI.hpp>
#include <map>

#include "aira/error.h"
#include "app/command_line.h"
#include "base/printable.h"

namespace aira {
namespace {

/// Sets `target` to the value of one of `names`.
template <typename Value>
std::function<bool(const std::string&)> choice(
    Value& target, const std::map<std::string, Value, std::less<>>& names) {
  return [&target, names](const std::string& text) {
    const auto found = names.find(text);
    if (found != names.end()) target = found->second;
    return found != names.end();
  };
}

}  // namespace

void add_model_options(CLI::App& app, CommonOptions& options, bool computes) {
  app.option_defaults()->group(message("Model"));
  add_text(app, "-m,--model", options.model, "MODEL",
           message("Folder, or hub id or URL in the local cache"));
  add_text(app, "--adapter", options.adapter, "FOLDER",
           message("LoRA adapter (PEFT) to merge into it"));
  if (!computes) return;
  add_value(
      app, "--device", "DEVICE", message("auto (a GPU if there is one), cpu or cuda"),
      message("auto, cpu or cuda"),
      choice<Device>(options.device,
                     {{"auto", Device::kAuto}, {"cpu", Device::kCpu}, {"cuda", Device::kCuda}}))
      ->type_name("auto|cpu|cuda");
  add_value(app, "--dtype", "TYPE", message("Weights in memory: auto (f16), f32, f16 or int8"),
            message("auto, f32, f16 or int8"),
            choice<DType>(options.dtype, {{"auto", DType::kF16},
                                          {"f32", DType::kF32},
                                          {"f16", DType::kF16},
                                          {"int8", DType::kI8}}))
      ->type_name("auto|f32|f16|int8");
  add_count(app, "-t,--threads", options.threads, 1, 1024,
            message("CPU threads (all physical cores)"));
}

void add_quiet(CLI::App& app, CommonOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, message("Only errors on stderr"))
      ->group(message("Output"));
}

void add_file(CLI::App& app, CommonOptions& options, const std::string& help) {
  app.option_defaults()->group(message("Input"));
  add_text(app, "-f,--file", options.file, "FILE", help)->each([](const std::string& name) {
    if (name.empty()) throw UsageError("[E609] --file needs the name of a file.");
  });
}

void add_batch(CLI::App& app, CommonOptions& options) {
  add_count(app, "--batch", options.batch, 1, 4096,
            message("Maximum number of concurrent sequences (32)"));
}

void add_request_options(CLI::App& app, RequestChanges& request) {
  for (const RequestOption& row : request_options()) {
    app.option_defaults()->group(message(row.group));
    const std::string names = row.flags(",");
    std::string help = message(row.help);
    if (const std::string value = row.default_text(); !value.empty()) help += " (" + value + ")";
    const auto set = [&row, &request](const std::vector<std::string>& words) {
      request.set_words(row, words);
      return true;
    };
    if (*row.placeholder == '\0') {
      app.add_flag_callback(
          names, [set] { set({"true"}); }, help);
    } else {
      CLI::Option* option = app.add_option(names, set, help)->take_all();
      option->option_text(row.placeholder);
      if (std::holds_alternative<Member<EarlyStopping>>(row.member)) {
        option->type_name("true|false|never");
      }
    }
  }
}

CLI::Option* add_text(CLI::App& app, const char* names, std::optional<std::string>& target,
                      const char* placeholder, const std::string& help) {
  return app
      .add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->option_text(placeholder);
}

CLI::Option* add_value(CLI::App& app, const std::string& names, const char* placeholder,
                       const std::string& help, const std::string& words,
                       const std::function<bool(const std::string&)>& read) {
  const auto take = [flag = names.substr(names.find("--")), words, read](const std::string& text) {
    if (!read(text)) throw UsageError("[E610] {} must be {}, not {}.", {flag, words, quote(text)});
  };
  return app.add_option_function<std::string>(names, take, help)->option_text(placeholder);
}

}  // namespace aira
