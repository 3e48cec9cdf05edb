// Environment variables, and paths out of them, which no shell has expanded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aira {

/// The variable's value; an empty one counts as not set.
std::optional<std::string> environment(const char* name);

/// `path` with ~, ~USER, $NAME and ${NAME} replaced, as Python's os.path.expanduser and expandvars
/// do it: what means nothing stays.
std::string expand_path(std::string_view path);

}  // namespace aira
