// planted-mistakes NAME: runs a sample kernel with a mistake under eight seeds and prints what the
// shim said: "wrong result with seed S", an error that names the kernel, or nothing. A sanitizer's
// own report ends it or stands on stderr. ctest compares all of that with what must be seen.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>

#include "control.h"
#include "device_array.h"
#include "sample_checks.h"

namespace aira::cuda::sample {
namespace {

// The host reads pinned memory before it has waited for the copy into it.
bool host_waits(bool planted) {
  constexpr std::size_t kBytes = 4096;
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  char* host = nullptr;
  check(cudaMallocHost(&host, kBytes), "allocating");
  const DeviceArray<char> device(std::vector<char>(kBytes, 'x'));
  check(cudaMemcpyAsync(host, device.get(), kBytes, cudaMemcpyDeviceToHost, stream), "copying");
  if (!planted) check(cudaStreamSynchronize(stream), "waiting");
  const bool right = host[100] == 'x';
  check(cudaStreamSynchronize(stream), "waiting");
  check(cudaFreeHost(host), "freeing");
  check(cudaStreamDestroy(stream), "destroying a stream");
  return right;
}

struct Mistake {
  const char* name;
  bool (*is_right)(Plant);
  Plant plant;
};

constexpr Mistake kMistakes[] = {
    {"missing-barrier", row_sums_is_right, Plant::kMissingBarrier},
    {"missing-barrier-tile", transpose_is_right, Plant::kMissingBarrier},
    {"missing-barrier-pipeline", pipelined_sum_is_right, Plant::kMissingBarrier},
    {"missing-warp-barrier", small_gemm_is_right, Plant::kMissingWarpBarrier},
    {"divergent-barrier", row_sums_is_right, Plant::kDivergentBarrier},
    {"two-barriers", row_sums_is_right, Plant::kOtherLine},
    {"ended-before-barrier", row_sums_is_right, Plant::kEarlyReturn},
    {"past-end", row_sums_is_right, Plant::kPastEnd},
    {"past-end-tail", copy_by_four_is_right, Plant::kPastEnd},
    {"read-past-end", copy_by_four_is_right, Plant::kReadPastEnd},
    {"shared-past-end", row_sums_is_right, Plant::kSharedPastEnd},
    {"wrong-tail", copy_by_four_is_right, Plant::kWrongTail},
    {"wrong-tail-tile", transpose_is_right, Plant::kWrongTail},
    {"missing-commit", pipelined_sum_is_right, Plant::kMissingCommit},
    {"missing-copy-wait", pipelined_sum_is_right, Plant::kMissingCopyWait},
    {"missing-grid-wait", grid_wait_is_right, Plant::kMissingGridWait},
    {"missing-fence", grid_sum_is_right, Plant::kMissingFence},
    {"plain-counter", grid_sum_is_right, Plant::kPlainCounter},
    {"foreign-mask", scan_is_right, Plant::kForeignMask},
    {"absent-lane", scan_is_right, Plant::kAbsentLane},
    {"ended-lane", scan_is_right, Plant::kEndedLane},
    {"misaligned-row", small_gemm_is_right, Plant::kMisaligned},
    {"missing-host-wait", [](Plant plant) { return host_waits(plant != Plant::kNothing); },
     Plant::kMissingGridWait},
};

int run(const Mistake& mistake) {
  cuda_on_host::set_strict_exit(mistake.plant == Plant::kEarlyReturn);
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    cuda_on_host::set_seed(seed);
    try {
      if (mistake.is_right(mistake.plant)) continue;
      std::printf("wrong result with seed %llu\n", static_cast<unsigned long long>(seed));
    } catch (const cuda_on_host::KernelError& error) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), error.what());
    }
    std::fflush(stdout);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace aira::cuda::sample

int main(int argc, char** argv) {
  for (const auto& mistake : aira::cuda::sample::kMistakes) {
    if (argc == 2 && std::strcmp(argv[1], mistake.name) == 0) {
      return aira::cuda::sample::run(mistake);
    }
  }
  std::fprintf(stderr, "usage: planted-mistakes NAME\n");
  return 2;
}
