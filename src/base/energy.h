// The energy that the machine's own counters saw: RAPL's of processors and memory, NVML's of a GPU.
// It is what the whole machine used meanwhile; no counter tells the share of a process.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aira {

struct Energy {
  double joules = 0;
  std::vector<std::string> counted;  // "package-0", "dram", "GPU"; empty: nothing is known
  std::vector<std::string> missing;  // for each part that does not tell, why
};

struct EnergyPlaces {
  std::string powercap = "/sys/class/powercap";
  std::string nvml = "libnvidia-ml.so.1";
  std::string gpu = {};  // PCI bus id of the GPU that computes; empty: none, and NVML is not loaded
};

class EnergyMeter {
 public:
  explicit EnergyMeter(const EnergyPlaces& places);

  /// Counts from now on.
  void restart();
  /// What has been used since the last restart(). A counter that failed meanwhile, or that did not
  /// move, is missing, with all that it had counted.
  Energy read();

 private:
  struct Counter {
    std::string name;
    std::function<std::uint64_t()> read;  // throws Error
    double joules_per_unit = 0;
    std::uint64_t most = 0;  // after which it begins at 0 again; 0: never
    std::uint64_t last = 0;
    double joules = 0;
    std::string problem = {};
  };
  void add(Counter counter);
  void add_processors(const std::string& powercap);
  void add_gpu(const EnergyPlaces& places);
  static void start(Counter& counter);
  static void update(Counter& counter);
  void keep_up(const std::stop_token& stop);

  std::mutex mutex_;  // for the counters
  std::vector<Counter> counters_;
  std::vector<std::string> missing_;  // counters that were never there
  std::jthread keeper_;
};

}  // namespace aira
