// The CUDA backend on the GPU of this machine, from the module that the program loads.
#include "backends.h"
#include "device/device.h"

namespace aira {

const std::vector<TestBackend>& test_backends() {
  static const std::vector<TestBackend> all = {
      {.name = "gpu",
       .make = [](ThreadPool& pool) { return make_backend(Device::kCuda, pool); },
       .threads = false,
       .same_bits_in_f32 = false,
       .same_bits_alone = false,
       .rounds_inputs = true,
       .int8 = true,
       .linear_kernels = {"AIRA_CUDA_FEW", "AIRA_CUDA_WGMMA"},
       .half_cache = true}};
  return all;
}

}  // namespace aira
