// RAPL: https://docs.kernel.org/power/powercap/powercap.html. Of its domains a package holds the
// cores and what is beside them on the chip, and dram the memory. The others would count twice:
// core and uncore are parts of a package, psys is the whole machine with both.
#include "base/energy.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "aira/error.h"
#include "base/dynamic_library.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

/// The counters of a large processor begin again after a quarter of an hour at the soonest.
constexpr std::chrono::minutes kOften{1};

/// The only line of a small file. Throws Error.
std::string read_line(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file.get() < 0 ? -1 : ::read(file.get(), text.data(), text.size());
  if (size < 0) {
    throw Error("[E720] {} cannot be read: {}", {printable(path), system_message(errno)});
  }
  const std::string_view all(text.data(), static_cast<std::size_t>(size));
  return std::string(all.substr(0, all.find('\n')));
}

std::uint64_t read_number(const std::string& path) {
  const std::string line = read_line(path);
  std::uint64_t number = 0;
  const char* end = line.data() + line.size();
  if (std::from_chars(line.data(), end, number).ptr != end || line.empty()) {
    throw Error("[E721] {} holds {}, which is no number", {printable(path), quote(line)});
  }
  return number;
}

/// Of NVML (nvml.h), whose codes are 0 for success.
struct Nvml {
  int (*init)() = nullptr;
  int (*find)(const char* bus_id, void** device) = nullptr;
  int (*energy)(void* device, unsigned long long* millijoules) = nullptr;
  const char* (*error)(int code) = nullptr;

  /// Throws Error.
  void check(int code) const {
    if (code != 0) throw Error("[E722] NVML says of the GPU: {}", {error(code)});
  }
};

/// Throws Error.
Nvml load_nvml([[maybe_unused]] const std::string& library) {
#ifdef AIRA_STATIC
  throw Error("[E723] a program that is linked statically cannot load NVML");
#else
  const DynamicLibrary nvml_library({library});
  if (!nvml_library) throw Error("[E724] NVML cannot be loaded: {}", {nvml_library.problem()});
  Nvml nvml;
  const auto take = [&](auto& function, const char* name) {
    if (nvml_library.find(function, name)) return;
    throw Error("[E725] {} has no function {}", {library, name});
  };
  take(nvml.error, "nvmlErrorString");
  take(nvml.init, "nvmlInit_v2");
  take(nvml.find, "nvmlDeviceGetHandleByPciBusId_v2");
  take(nvml.energy, "nvmlDeviceGetTotalEnergyConsumption");
  return nvml;
#endif
}

}  // namespace

EnergyMeter::EnergyMeter(const EnergyPlaces& places) {
  add_processors(places.powercap);
  if (!places.gpu.empty()) add_gpu(places);
  if (counters_.empty()) return;
  try {
    keeper_ = std::jthread([this](const std::stop_token& stop) { keep_up(stop); });
  } catch (const std::system_error&) {
    // No thread is to be had. Who reads often enough needs none.
  }
}

/// Leaves out, with the reason, a counter that cannot be read.
void EnergyMeter::add(Counter counter) {
  start(counter);
  if (counter.problem.empty()) {
    counters_.push_back(std::move(counter));
  } else {
    missing_.push_back(counter.problem);
  }
}

void EnergyMeter::add_processors(const std::string& powercap) {
  namespace fs = std::filesystem;
  std::set<std::string> folders;
  std::error_code problem;
  for (fs::directory_iterator entry(powercap, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    // The same counters may also be there as intel-rapl-mmio:0.
    if (entry->path().filename().string().starts_with("intel-rapl:")) folders.insert(entry->path());
  }
  bool any = false;
  bool locked = false;
  for (const std::string& folder : folders) {
    try {
      const std::string name = read_line(folder + "/name");
      if (!name.starts_with("package") && name != "dram") continue;
      any = true;
      const std::string file = folder + "/energy_uj";
      if (::access(file.c_str(), R_OK) != 0 && errno == EACCES) {
        locked = true;
        continue;
      }
      add({.name = name,
           .read = [file] { return read_number(file); },
           .joules_per_unit = 1e-6,
           .most = read_number(folder + "/max_energy_range_uj")});
    } catch (const Error& error) {
      missing_.emplace_back(error.what());
      any = true;
    }
  }
  if (locked) {
    missing_.push_back(message(
        "only root may read the counters of the processors; until the next start of the "
        "machine, everybody may after this command: sudo chmod o+r {}/intel-rapl:*/energy_uj",
        {powercap}));
  }
  if (!any) {
    missing_.push_back(
        message("{} has no counters of the processors (RAPL); virtual machines, containers and "
                "other processors than Intel's and AMD's have none",
                {printable(powercap)}));
  }
}

void EnergyMeter::add_gpu(const EnergyPlaces& places) {
  try {
    const Nvml nvml = load_nvml(places.nvml);
    nvml.check(nvml.init());
    void* device = nullptr;
    nvml.check(nvml.find(places.gpu.c_str(), &device));
    add({.name = "GPU",
         .read =
             [nvml, device] {
               unsigned long long millijoules = 0;
               nvml.check(nvml.energy(device, &millijoules));
               return std::uint64_t{millijoules};
             },
         .joules_per_unit = 1e-3});
  } catch (const Error& error) {
    missing_.emplace_back(error.what());
  }
}

void EnergyMeter::start(Counter& counter) {
  counter.joules = 0;
  counter.problem.clear();
  try {
    counter.last = counter.read();
  } catch (const Error& error) {
    counter.problem = error.what();
  }
}

void EnergyMeter::update(Counter& counter) {
  if (!counter.problem.empty()) return;
  try {
    const std::uint64_t now = counter.read();
    if (now < counter.last && counter.most < counter.last) {
      counter.problem = message("the counter of {} went back", {counter.name});
      return;
    }
    const std::uint64_t units =
        now < counter.last ? counter.most - counter.last + 1 + now : now - counter.last;
    counter.joules += static_cast<double>(units) * counter.joules_per_unit;
    counter.last = now;
  } catch (const Error& error) {
    counter.problem = error.what();
  }
}

/// So that none begins again twice between two readings.
void EnergyMeter::keep_up(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    never.wait_for(lock, stop, kOften, [] { return false; });
    std::for_each(counters_.begin(), counters_.end(), update);
  }
}

void EnergyMeter::restart() {
  const std::lock_guard lock(mutex_);
  std::for_each(counters_.begin(), counters_.end(), start);
}

Energy EnergyMeter::read() {
  const std::lock_guard lock(mutex_);
  Energy energy;
  energy.missing = missing_;
  for (Counter& counter : counters_) {
    update(counter);
    if (counter.problem.empty() && counter.joules > 0) {
      energy.joules += counter.joules;
      if (std::find(energy.counted.begin(), energy.counted.end(), counter.name) ==
          energy.counted.end()) {
        energy.counted.push_back(counter.name);  // each socket has a "dram"
      }
    } else {
      energy.missing.push_back(
          counter.problem.empty()
              ? message("the counter of {} did not move meanwhile", {counter.name})
              : counter.problem);
    }
  }
  return energy;
}

}  // namespace aira
