// The options a model's authors set.
#pragma once

#include "aira/generate.h"
#include "model/config.h"

namespace aira {

/// The options a model's authors set, the card's defaults where they did not.
GenerateOptions default_options(const GenerationConfig& config);

}  // namespace aira
