// The demo model that is part of the executable, so that the program answers right after the build.
#pragma once

#include <optional>

#include "aira/model_files.h"

namespace aira {

inline constexpr const char* kBuiltinName = "aira-mini";

/// Its files; nothing when the program was built without them.
std::optional<ModelFiles> builtin_model();

}  // namespace aira
