// A dialogue as a JSON file: {"model", "history", "params", "messages"}, these as in OpenAI's API.
#pragma once

#include <string>
#include <vector>

#include "aira/prompts.h"
#include "run/request_options.h"

namespace aira {

struct Dialogue {
  std::string model;  // its name, for people
  bool history = false;
  RequestChanges params;
  std::vector<Prompts::Turn> turns;
};

/// Writes the file, or leaves what is there as it was; the seed of `params` only if `with_seed`.
/// Throws Error.
void save_dialogue(const Dialogue& dialogue, const std::string& path, bool with_seed);
/// Reads such a file; its params are set in `params`. Throws Error.
Dialogue load_dialogue(const std::string& path, RequestChanges params);

}  // namespace aira
