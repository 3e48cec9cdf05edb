// generation_config.json, or what config.json says of generation.
#include "run/generation_config.h"

#include "fuzz.h"
#include "model_fixtures.h"

using namespace aira;

FUZZ_TARGET(generation_config) {
  if (input.empty()) return;
  const bool is_aira = (input.front() & 1) != 0;
  const bool own = (input.front() & 2) != 0;
  fuzz::accepts([&] {
    const std::string json(input.substr(1));
    const ModelFiles files = memory_files(
        {{"config.json", own ? small_config("{}") : json}, {"generation_config.json", json}});
    const ModelConfig config = read_model_config(files);
    const GenerationConfig generation = read_generation_config(files, config, is_aira);
    generation.options.validate();
    for (const std::string& note : generation.notes) FUZZ_CHECK(!note.empty());
  });
}
