// --choose and "choices": the answer is one of given texts.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
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
/// What was chosen from, for a JSON line; null where nothing was.
nlohmann::ordered_json candidates_of(const Answer& answer);
/// The probability of the answer among those; nothing where it was not chosen.
std::optional<double> chosen_probability(const Answer& answer);

}  // namespace aira
