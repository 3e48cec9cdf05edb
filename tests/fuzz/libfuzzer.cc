// libFuzzer's entry into the one target that is linked in. Of an input that takes too long the time
// counts that the processor spent on it: others may use the machine, too.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "fuzz.h"

namespace {

constexpr std::size_t kShort = 10'000;  // bytes

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static bool warm = false;
  const double start = processor_seconds();
  aira::fuzz::targets().front()->run({reinterpret_cast<const char*>(data), size});
  const double seconds = processor_seconds() - start;
  if (std::exchange(warm, true) && size < kShort && seconds > 1) {
    std::fprintf(stderr, "%zu bytes took %.1f s\n", size, seconds);
    std::abort();
  }
  return 0;
}
