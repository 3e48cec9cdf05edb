// model.safetensors.index.json and two shards.
#include "fuzz.h"
#include "model/checkpoint.h"
#include "model_fixtures.h"

using namespace aira;

FUZZ_TARGET(index) {
  const auto parts = fuzz::parts_of(input, 3);
  const std::string data(64, '\2');
  const ModelFiles files = memory_files({{"model.safetensors.index.json", parts[0]},
                                         {"a.safetensors", safetensors(parts[1], data)},
                                         {"b.safetensors", safetensors(parts[2], data)}});
  fuzz::accepts([&] {
    const Checkpoint checkpoint = Checkpoint::open(files);
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      std::size_t sum = 0;
      for (std::size_t i = 0; i < tensor.bytes; ++i)
        sum += std::to_integer<int>(tensor.data.get()[i]);
      FUZZ_CHECK(sum == 2 * tensor.bytes);
    }
  });
}
