// How the help looks, the page of request options, and the commands `help` and `version`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "aira/error.h"
#include "app/command_line.h"
#include "app/output.h"
#include "app/suggestions.h"
#include "app/version.h"
#include "base/printable.h"

namespace aira {
namespace {

class HelpText : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "";
  }
  std::string make_positionals(const CLI::App* /*app*/) const override { return ""; }
  /// The name of the value, translated where it is a word.
  std::string make_option_opts(const CLI::Option* option) const override {
    [[maybe_unused]] static constexpr const char* kWords[] = {
        to_translate("COLUMN"),   to_translate("DEVICE"), to_translate("FILE"),
        to_translate("FOLDER"),   to_translate("HOW"),    to_translate("ID=BIAS"),
        to_translate("IDS=BIAS"), to_translate("MODEL"),  to_translate("TEXT"),
        to_translate("TYPE"),     to_translate("WHEN")};
    const std::string name = message(option->get_option_text().c_str());
    return name.empty() ? name : " " + name;
  }
  std::string make_option_name(const CLI::Option* option, bool /*positional*/) const override {
    const std::string name = option->get_name(false, true);  // "-m,--model" or "--raw"
    const auto comma = name.find(',');
    const std::string indent = name.starts_with("--") ? "    " : "";
    if (comma == std::string::npos) return indent + name;
    return indent + name.substr(0, comma) + ", " + name.substr(comma + 1);
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() {
  auto format = std::make_shared<HelpText>();
  format->column_width(kHelpColumn);
  return format;
}

std::string options_page() {
  std::string page = R"(# Request options

This page is what `aira-cli help options` prints. Each option can be given on the command line, as a
field of a JSON line and to the chat's `/params`. What a JSON line says goes before the command line,
that before the config file ([batches.md](batches.md#defaults-in-a-file)) and the model's
`generation_config.json`, and these before the defaults below or those of transformers
([generation.md](generation.md)). Two options that were asked for and cannot be honoured
together, such as `--num-beams 3` and `--temperature 0.5`, are refused; defaults yield to them.

| option | JSON field | must be | default | meaning |
|---|---|---|---|---|
)";
  for (const RequestOption& row : request_options()) {
    std::string flag = row.flags(", ");
    if (*row.placeholder != '\0') flag += " " + message(row.placeholder);
    page += "| `" + flag + "` | `" + row.name + "` | " + message(row.range.words) + " | " +
            row.default_text() + " | " + message(row.help) + " |\n";
  }
  return page;
}

Action set_up_help(CLI::App& app) {
  const auto topic = std::make_shared<std::string>();
  app.description(message(
      "aira-cli help [COMMAND]           Print the help of a command\n"
      "aira-cli help options             Print a table of the request options in Markdown"));
  app.add_option("TOPIC", *topic);
  return [topic] {
    if (*topic == "options") return print(options_page()), kDone;
    const Command* command = find_command(*topic);
    if (command != nullptr) return print(help_text(*command)), kDone;
    const std::string meant = mistyped_command(*topic);
    if (meant.empty()) throw UsageError("[E611] There is no command {}.", {quote(*topic)});
    throw UsageError("[E612] There is no command {}; the nearest is {}.", {quote(*topic), meant});
  };
}

Action set_up_version(CLI::App& app) {
  app.description(message("aira-cli version                  Print the version"));
  return [] { return print(version_text()), kDone; };
}

}  // namespace aira
