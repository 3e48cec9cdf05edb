// The CUDA backend with its kernels on the host, in eight orders of blocks, warps and lanes.
#include "backends.h"
#include "control.h"
#include "cuda/cuda_backend.h"

namespace aira {
namespace {

constexpr int kSeeds = 8;

}  // namespace

const std::vector<TestBackend>& test_backends() {
  static const std::vector<TestBackend> all = [] {
    std::vector<TestBackend> list;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      list.push_back({.name = "cuda_on_host_" + std::to_string(seed),
                      .make =
                          [seed](ThreadPool& /*pool*/) {
                            cuda_on_host::set_seed(seed);
                            return make_cuda_backend();
                          },
                      .threads = false,
                      .same_bits_alone = false,
                      .rounds_inputs = true,
                      .int8 = true,
                      .linear_kernels = {"AIRA_CUDA_FEW", "AIRA_CUDA_WGMMA"},
                      .half_cache = true,
                      .share = static_cast<int>(seed - 1),
                      .shares = kSeeds});
    }
    return list;
  }();
  return all;
}

}  // namespace aira
