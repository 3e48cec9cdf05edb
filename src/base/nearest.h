// What someone who mistyped a name probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace aira {

/// The one of `names` that is most like `word`, the first of several; empty when none is like it.
/// '-' and '_' are the same letter and case does not count. Alike are names that differ in a letter
/// of three (added, missing, another, or two that have changed places), and those that begin with
/// `word`.
std::string nearest(std::string_view word, std::span<const std::string> names);

}  // namespace aira
