// The folder of a LoRA adapter: adapter_config.json and the header of adapter_model.safetensors,
// on a tiny model.
#include "model/adapter.h"

#include "fuzz.h"
#include "model/model.h"
#include "model_fixtures.h"
#include "tiny_model.h"

using namespace aira;

FUZZ_TARGET(adapter) {
  static const ModelFiles base = fuzz::tiny_model_files();
  static const Checkpoint checkpoint = Checkpoint::open(base);
  const auto parts = fuzz::parts_of(input, 2);
  const ModelFiles files = memory_files(
      {{kAdapterConfig, parts[0]},
       {"adapter_model.safetensors", safetensors(parts[1], std::string(256, '\x3E'))}});
  fuzz::accepts([&] { base_of(files); });
  fuzz::accepts([&] {
    const auto adapter = Adapter::open(base.with_adapter(files));
    std::set<std::string> names;
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      names.insert(name);
      HostTensor named = tensor;
      named.name = name;
      const HostTensor merged = adapter->apply(named);
      FUZZ_CHECK(merged.shape == tensor.shape);
      as_f32(merged);
    }
    adapter->refuse_unknown(names);
  });
}
