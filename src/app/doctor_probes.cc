// The probes of processor and memory: files of /proc and /sys, a few system calls, and some hundred
// megabytes of memory that are read a few times.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <new>
#include <numeric>
#include <span>
#include <sstream>

#include "app/config_file.h"
#include "app/doctor.h"
#include "app/output.h"
#include "base/catalogue.h"
#include "base/cpus.h"
#include "base/huge_pages.h"
#include "base/memory_speed.h"
#include "base/printable.h"
#include "cpu/cpu_backend.h"

namespace aira {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

Finding language(const CommonOptions&, Examined&) {
  const bool portuguese = catalogue_in_use() != nullptr;
  const char* const origin = environment("AIRA_LANG") ? "$AIRA_LANG"
                             : configured_language()  ? "config file"
                                                      : "locale";
  return {Mark::kGood, std::string(portuguese ? "português" : "English") + " (" + origin + ")",
          portuguese ? "pt" : "en", ""};
}

Finding config_path(const CommonOptions&, Examined&) {
  const std::string& path = config().path;
  if (path.empty()) return {Mark::kGood, message("none")};
  return {Mark::kGood, printable(path), path};
}

Finding processor(const CommonOptions&, Examined&) {
  const std::string name = value_in("/proc/cpuinfo", "model name");
  return {Mark::kGood, name.empty() ? message("not told") : printable(name), name, ""};
}

Finding features(const CommonOptions&, Examined&) {
  constexpr auto kTold = std::to_array<const char*>(
      {"avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "amx_tile",
       "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"});
  std::string all = value_in("/proc/cpuinfo", "flags");
  if (all.empty()) all = value_in("/proc/cpuinfo", "Features");
  std::vector<std::string> has;
  std::istringstream words(all);
  for (std::string word; words >> word;) {
    if (std::find(kTold.begin(), kTold.end(), word) != kTold.end()) has.push_back(word);
  }
  return {Mark::kGood, has.empty() ? message("none of those that help") : joined(has), has, ""};
}

Finding kernels(const CommonOptions&, Examined&) {
  std::vector<std::string> names;
  for (const cpu::Kernels* table : cpu::available_kernels()) names.emplace_back(table->name);
  const std::string chosen = cpu::choose_kernels().name;
  Finding finding = {Mark::kGood, chosen, {{"used", chosen}, {"usable", names}}, ""};
  if (chosen != names.front()) {
    finding.mark = Mark::kNote;
    finding.advice = message("{} would be faster; remove {}.", {names.front(), "AIRA_ISA"});
  } else if (chosen == "portable") {
    finding.mark = Mark::kNote;
    finding.advice = message("These run everywhere and are slow; a processor with AVX2 is faster.");
  }
  return finding;
}

Finding cores(const CommonOptions& options, Examined&) {
  const std::vector<int> allowed = allowed_cpus();
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  const int physical = count_cores(allowed);
  const std::optional<double> quota = cpu_quota();
  const int used = options.threads > 0 ? options.threads : ThreadPool::usable_cores();
  Finding finding = {Mark::kGood,
                     message("{} threads used; {} cores in {} of {} CPUs",
                             {std::to_string(used), std::to_string(physical),
                              std::to_string(allowed.size()), std::to_string(online)}),
                     {{"threads", used},
                      {"cores", physical},
                      {"allowed_cpus", allowed.size()},
                      {"cpus", online},
                      {"quota", quota ? ordered_json(*quota) : ordered_json()}},
                     ""};
  if (used > ThreadPool::usable_cores()) {
    finding.mark = Mark::kNote;
    finding.advice = message("More threads than cores cost speed; leave {} out.", {"--threads"});
  } else if (quota && *quota < physical) {
    finding.mark = Mark::kNote;
    finding.advice = message("The cgroup grants {} CPUs; a higher quota makes answers faster.",
                             {format("%.1f", *quota)});
  }
  return finding;
}

Finding memory(const CommonOptions&, Examined& examined) {
  const auto kilobytes = [](const char* name) {
    const std::string text = value_in("/proc/meminfo", name);
    return text.empty() ? 0.0 : std::stod(text) * 1024;
  };
  double free = kilobytes("MemAvailable");
  const double all = kilobytes("MemTotal");
  const std::optional<double> limit = memory_limit();
  if (limit) free = std::min(free, *limit);
  rlimit address = {};
  if (::getrlimit(RLIMIT_AS, &address) == 0 && address.rlim_cur != RLIM_INFINITY) {
    free = std::min(free, static_cast<double>(address.rlim_cur));
  }
  const auto text = [](double bytes) { return size_text(static_cast<std::int64_t>(bytes)); };
  Finding finding = {Mark::kGood,
                     message("{} of {} usable", {text(free), text(all)}),
                     {{"usable_bytes", static_cast<std::int64_t>(free)},
                      {"all_bytes", static_cast<std::int64_t>(all)},
                      {"needed_bytes", examined.bytes}},
                     ""};
  if (free > 0 && static_cast<double>(examined.bytes) * 1.1 > free) {
    finding.mark = Mark::kBad;
    finding.advice = message("The model needs {}; end other programs, use {} or a smaller model.",
                             {size_text(examined.bytes), "--dtype int8"});
  }
  return finding;
}

Finding bandwidth(const CommonOptions& options, Examined& examined) {
  constexpr std::size_t kLeast = std::size_t{256} << 20;
  constexpr std::size_t kMost = std::size_t{512} << 20;
  const auto cached = static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_LEVEL3_CACHE_SIZE)));
  const std::size_t bytes = std::clamp(4 * cached, kLeast, kMost) / kHugePage * kHugePage;
  ThreadPool pool(options.threads > 0 ? options.threads : ThreadPool::usable_cores());
  const auto block = allocate_huge_pages(bytes);
  if (!block) throw std::bad_alloc();
  const std::span words(reinterpret_cast<std::uint64_t*>(block.get()), bytes / 8);
  pool.split(std::ssize(words), [&](std::int64_t begin, std::int64_t end, int) {
    std::iota(words.begin() + begin, words.begin() + end, begin);
  });
  for (int round = 0; round < 4; ++round) {  // others may be at it too: the fastest counts
    examined.bytes_per_second = std::max(examined.bytes_per_second, read_speed(words, pool));
  }
  const double gigabytes = examined.bytes_per_second / 1e9;
  return {Mark::kGood, format("%.1f GB/s", gigabytes), {{"gb_per_second", gigabytes}}, ""};
}

Finding huge_pages(const CommonOptions&, Examined&) {
  const std::string line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const std::size_t open = line.find('[');
  const std::string chosen =
      open == std::string::npos ? "never" : line.substr(open + 1, line.find(']') - open - 1);
  Finding finding = {Mark::kGood, chosen, chosen, ""};
  if (chosen == "never") {
    finding.mark = Mark::kNote;
    finding.advice = message("Decoding is up to a quarter faster with them: {}",
                             {"echo madvise | sudo tee "
                              "/sys/kernel/mm/transparent_hugepage/enabled"});
  }
  return finding;
}

}  // namespace

std::string first_line(const fs::path& path) {
  std::string line;
  std::getline(std::ifstream(path) >> std::ws, line);
  return line;
}

std::string value_in(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t at = line.find_first_not_of("\t :", name.size());
    return at == std::string::npos ? "" : line.substr(at);
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::span<const Probe> machine_probes() {
  static constexpr auto kProbes = std::to_array<Probe>({
      {to_translate("program"), to_translate("language"), language},
      {to_translate("program"), to_translate("config file"), config_path},
      {to_translate("processor"), to_translate("name"), processor},
      {to_translate("processor"), to_translate("instructions"), features},
      {to_translate("processor"), to_translate("kernels"), kernels},
      {to_translate("processor"), to_translate("cores"), cores},
      {to_translate("memory"), to_translate("size"), memory},
      {to_translate("memory"), to_translate("bandwidth"), bandwidth},
      {to_translate("memory"), to_translate("2 MB pages"), huge_pages},
      {to_translate("GPU"), to_translate("NVIDIA driver"), look_at_driver},
      {to_translate("GPU"), to_translate("CUDA module"), look_at_module},
      {to_translate("caches"), to_translate("Hugging Face"), look_at_hub_cache},
      {to_translate("caches"), to_translate("packed weights"), look_at_packed_weights},
  });
  return kProbes;
}

}  // namespace aira
