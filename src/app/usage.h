// The words of --help around the table of options.
#pragma once

#include <string>

#include "app/options.h"

namespace aira {

/// The lines above the options: how to call it and what it does.
std::string usage(Command command);
/// The lines below them.
std::string examples(Command command);

}  // namespace aira
