// config.json
#include "model/config.h"
#include "fuzz.h"
#include "model/model.h"
#include "model_fixtures.h"

using namespace aira;

FUZZ_TARGET(config) {
  fuzz::accepts([&] {
    const ModelConfig c = read_model_config(memory_files({{"config.json", std::string(input)}}));
    FUZZ_CHECK(c.layers > 0 && c.width > 0 && c.heads > 0 && c.width % c.heads == 0);
    FUZZ_CHECK(c.context > 0 && c.vocab > 0 && c.ffn_width > 0 && c.epsilon >= 0);
    for (const std::int32_t id : c.eos) FUZZ_CHECK(id >= 0 && id < c.vocab);
  });
}
