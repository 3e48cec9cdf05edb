// The defaults that someone keeps in $XDG_CONFIG_HOME/aira-cli/config (~/.config without the
// variable): lines NAME = VALUE, # before a comment. $AIRA_CONFIG names another file; off: none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run/request_options.h"

namespace CLI {
class App;
}

namespace aira {

struct Config {
  std::string path;  // empty: there is no file
  std::optional<std::string> model;
  std::optional<std::string> adapter;
  std::optional<double> carbon_intensity;
  std::vector<std::string> words;  // "--dtype=int8": options of commands that have them
  RequestChanges request;
};

/// The file, read once. Throws Error, which names file and line.
const Config& config();

/// Puts the words of the file that `app` has options for before those of the command line, which
/// count instead. A file that is wrong is config()'s to report.
void add_configured_words(const CLI::App& app, std::vector<const char*>& words);

/// What the file says under "language". Throws nothing, since messages have no language yet.
std::optional<std::string> configured_language();

}  // namespace aira
