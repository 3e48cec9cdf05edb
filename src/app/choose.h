// --choose and "choices": the answer is one of given texts.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/ask.h"

namespace aira {

/// --choose
void add_choose(CLI::App& app, AskOptions& options);
/// Throws UsageError for what does not go with --choose. `chat`: on a terminal.
void check_choose(const AskOptions& options, bool chat);

/// The texts that a JSON line chooses from: its own, else those of --choose; none: it does not.
/// Throws Error.
std::vector<std::string> choices_of(const AskOptions& options, const nlohmann::json& line);
/// Adds what was chosen from, and the probability of the answer that was chosen, to a JSON line.
void add_choices(nlohmann::ordered_json& line, const Answer& answer);

}  // namespace aira
