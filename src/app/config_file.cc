#include "app/config_file.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "app/command_line.h"
#include "app/energy_report.h"
#include "app/line_reader.h"
#include "app/model_lookup.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "run/answer_text.h"

namespace aira {
namespace {

constexpr const char* kIntensityName = "carbon_intensity";
constexpr std::string_view kBlanks = " \t";
constexpr std::array<std::string_view, 4> kWords = {"device", "dtype", "threads", "batch"};

struct Setting {
  std::string name;  // with underscores
  std::string value;
  std::string where;  // "line 3 of FILE"
};

/// Empty: none.
std::string config_path() {
  if (const auto named = environment("AIRA_CONFIG")) {
    return *named == "off" || *named == "none" ? "" : *named;
  }
  if (const auto folder = environment("XDG_CONFIG_HOME"); folder && folder->starts_with('/')) {
    return *folder + "/aira-cli/config";
  }
  const auto home = environment("HOME");
  return home ? *home + "/.config/aira-cli/config" : "";
}

/// Where the closing quote of a value that begins with one is; npos without it.
std::size_t closing_quote(std::string_view value) {
  std::size_t at = 1;
  while (at < value.size() && value[at] != '"') at += value[at] == '\\' ? 2 : 1;
  return at < value.size() ? at : std::string_view::npos;
}

/// The value less a comment; between quotes it is a JSON text. Throws Error.
std::string value_of(std::string_view text, const std::string& where) {
  if (text.starts_with('"')) {
    const std::size_t end = closing_quote(text);
    const std::string after = end == text.npos ? "" : without_white_space(text.substr(end + 1));
    if (end == text.npos || (!after.empty() && after.front() != '#')) {
      throw Error("[E130] {}: a value that begins with a quotation mark must end with one.",
                  {where});
    }
    return parse_json(text.substr(0, end + 1), where).get<std::string>();
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '#' && (at == 0 || kBlanks.find(text[at - 1]) != kBlanks.npos)) {
      text = text.substr(0, at);
    }
  }
  return without_white_space(text);
}

std::vector<Setting> read_settings(const std::string& path) {
  std::vector<Setting> settings;
  const bool chosen = environment("AIRA_CONFIG").has_value();
  if (path.empty() || (!chosen && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT)) return {};
  LineReader lines(path);
  while (const std::optional<std::string> line = lines.next()) {
    lines.check(*line);
    const std::string text = without_white_space(*line);
    if (text.empty() || text.front() == '#') continue;
    const std::string where = lines.place(lines.number());
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      throw Error("[E131] {}: this must be NAME = VALUE, not {}.", {where, quote(text)});
    }
    std::string name = without_white_space(text.substr(0, equals));
    std::replace(name.begin(), name.end(), '-', '_');
    settings.push_back(
        {name, value_of(without_white_space(text.substr(equals + 1)), where), where});
  }
  return settings;
}

[[noreturn]] void refuse(const Setting& setting) {
  std::string meant(option_called(setting.name));
  if (meant.empty()) {
    std::vector<std::string> names = {"model", "adapter", "language", kIntensityName};
    names.insert(names.end(), kWords.begin(), kWords.end());
    for (const RequestOption& row : request_options()) names.emplace_back(row.name);
    meant = nearest(setting.name, names);
  }
  if (meant.empty()) {
    throw Error("[E132] {}: there is no setting {}.", {setting.where, quote(setting.name)});
  }
  throw Error("[E133] {}: there is no setting {}; the nearest is {}.",
              {setting.where, quote(setting.name), quote(meant)});
}

/// Throws UsageError for a value that the command line would refuse.
void check_word(const std::string& word) {
  CLI::App app;
  CommonOptions unused;
  app.option_defaults()->take_last();
  add_model_options(app, unused, true);
  add_batch(app, unused);
  parse_words(app, std::array{"aira-cli", word.c_str()});
}

Config read_config() {
  Config config;
  const std::string path = config_path();
  std::map<const RequestOption*, std::vector<std::string>> given;
  const std::vector<Setting> settings = read_settings(path);
  if (!settings.empty()) config.path = path;
  for (const Setting& setting : settings) {
    const RequestOption* row = find_request_option(setting.name);
    try {
      if (setting.name == "model") {
        config.model = setting.value;
      } else if (setting.name == "adapter") {
        config.adapter = setting.value;
      } else if (setting.name == kIntensityName) {
        config.carbon_intensity = require_intensity(kIntensityName, setting.value);
      } else if (std::find(kWords.begin(), kWords.end(), setting.name) != kWords.end()) {
        config.words.push_back("--" + setting.name + "=" + setting.value);
        check_word(config.words.back());
      } else if (row != nullptr) {
        given[row].push_back(setting.value);
        RequestChanges().set_words(*row, std::array{setting.value});
      } else if (setting.name != "language") {
        refuse(setting);
      }
    } catch (const UsageError& error) {
      throw Error("[E134] {}: {}", {setting.where, error.with_fields()});
    }
  }
  config.request.begin(Source::kLine);  // errors name the fields
  for (const auto& [row, words] : given) config.request.set_words(*row, words);
  try {
    static_cast<void>(config.request.over({}));
  } catch (const UsageError& error) {  // what does not go together
    throw Error("[E135] {}: {}", {quote(path, 4096), error.with_fields()});
  }
  return config;
}

}  // namespace

const Config& config() {
  static const Config config = read_config();
  return config;
}

void add_configured_words(const CLI::App& app, std::vector<const char*>& words) {
  try {
    for (const std::string& word : config().words) {
      const std::string name = word.substr(0, word.find('='));
      if (app.get_option_no_throw(name) != nullptr) words.insert(words.begin() + 1, word.c_str());
    }
  } catch (const Error&) {
    return;  // --help works in any case; who looks for a model gets to know
  }
}

std::optional<std::string> configured_language() {
  std::optional<std::string> language;
  try {
    for (const Setting& setting : read_settings(config_path())) {
      if (setting.name == "language") language = setting.value;
    }
  } catch (const Error&) {
    return language;
  }
  return language;
}

}  // namespace aira
