// What the program says of itself: version, commit and what it was built with.
#pragma once

#include <string>

namespace aira {

/// What `version` prints. The first line is "aira-cli 1.2.3", with the commit in parentheses when
/// the program was built from a git checkout.
std::string version_text();

}  // namespace aira
