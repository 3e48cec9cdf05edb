// Paths out of environment variables, which no shell has expanded.
#pragma once

#include <string>
#include <string_view>

namespace aira {

/// `path` with ~, ~USER, $NAME and ${NAME} replaced, as Python's os.path.expanduser and expandvars
/// do it: what means nothing stays.
std::string expand_path(std::string_view path);

}  // namespace aira
