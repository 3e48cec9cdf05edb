// help and version.
#include <CLI/CLI.hpp>

#include "aira/error.h"
#include "app/command_line.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {

std::string options_page() {
  std::string page = R"(# Request options

This page is what `aira-cli help options` prints. Each option can be given on the command line, as a
field of a JSON line and to the chat's `/params`. Defaults are those of the model's
`generation_config.json`, else the ones below.

| option | JSON field | must be | default | meaning |
|---|---|---|---|---|
)";
  for (const RequestOption& row : request_options()) {
    std::string flag = row.flag();
    if (*row.short_flag != '\0') flag = std::string(row.short_flag) + ", " + flag;
    if (*row.placeholder != '\0') flag += " " + std::string(row.placeholder);
    page += "| `" + flag + "` | `" + row.name + "` | " + row.range.words + " | " +
            row.default_text() + " | " + row.help + " |\n";
  }
  return page;
}

Action set_up_help(CLI::App& app) {
  const auto topic = std::make_shared<std::string>();
  app.description(
      "aira-cli help [COMMAND]           Print the help of a command\n"
      "aira-cli help options             Print a table of the request options in Markdown");
  app.add_option("TOPIC", *topic);
  return [topic] {
    if (*topic == "options") return print(options_page()), kDone;
    const Command* command = find_command(*topic);
    if (command == nullptr) throw UsageError("There is no command " + quote(*topic) + ".");
    print(help_text(*command));
    return kDone;
  };
}

Action set_up_version(CLI::App& app) {
  app.description("aira-cli version                  Print the version");
  return [] { return print("aira-cli " AIRA_VERSION "\n"), kDone; };
}

}  // namespace aira
