// Requests as an input decides them: any rows of the table of request options with any values.
#pragma once

#include <optional>

#include "aira/engine.h"
#include "fuzz.h"

namespace aira::fuzz {

/// Small enough to be answered in a few steps; nothing when its options make no sense.
std::optional<Request> random_request(Choices& choices, const Prompts& prompts, std::int64_t slots);

}  // namespace aira::fuzz
