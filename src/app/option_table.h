// The options of each command, given to CLI11.
#pragma once

#include <CLI/CLI.hpp>

#include "app/options.h"

namespace aira {

/// Adds the options of options.command, and no others, to `app`. Parsing then writes to `options`,
/// which must outlive `app`, and throws UsageError for a value that cannot be.
void add_options(CLI::App& app, Options& options);

}  // namespace aira
