#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>

namespace aira {
namespace {

/// A hierarchy of cgroups that can limit something, as a line of /proc/self/mountinfo has it.
struct Mount {
  bool v2;
  std::string top;    // the cgroup whose folder `place` is
  std::string place;  // a folder
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool names(const std::string& list, const std::string& controller) {
  const std::vector<std::string> names = split(list, ',');
  return std::find(names.begin(), names.end(), controller) != names.end();
}

/// Without the \040 that the kernel writes for a blank, and its like.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto digit = [&](std::size_t place) {
      const char letter = at + place < text.size() ? text[at + place] : ' ';
      return letter >= '0' && letter <= '7' ? letter - '0' : -1;
    };
    const bool escaped = text[at] == '\\' && digit(1) >= 0 && digit(2) >= 0 && digit(3) >= 0;
    plain += escaped ? static_cast<char>(digit(1) * 64 + digit(2) * 8 + digit(3)) : text[at];
    if (escaped) at += 3;
  }
  return plain;
}

/// "36 35 98:0 /top /place rw,noatime master:1 - cgroup cgroup rw,cpu"
std::optional<Mount> mount_in(const std::string& line, const std::string& controller) {
  const std::size_t dash = line.find(" - ");
  if (dash == std::string::npos) return std::nullopt;
  const std::vector<std::string> before = split(line.substr(0, dash), ' ');
  const std::vector<std::string> after = split(line.substr(dash + 3), ' ');
  if (before.size() < 5 || after.size() < 3) return std::nullopt;
  const bool v2 = after[0] == "cgroup2";
  if (!v2 && (after[0] != "cgroup" || !names(after[2], controller))) return std::nullopt;
  return Mount{v2, unescaped(before[3]), unescaped(before[4])};
}

/// The process's cgroup in the hierarchy of version 2 or in that of the controller.
std::string own_cgroup(const std::string& root, bool v2, const std::string& controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
    const std::size_t first = std::min(line.find(':'), line.size());
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : names(controllers, controller)) return line.substr(second + 1);
  }
  return "/";
}

/// The quota of one cgroup, whose folder is given.
std::optional<double> quota_of(const std::string& folder, bool v2) {
  double quota = 0;
  double period = 0;
  if (v2) {
    std::ifstream(folder + "/cpu.max") >> quota >> period;  // "max 100000" is no number
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;  // -1: none
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  if (quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

/// The memory limit of one cgroup in bytes.
std::optional<double> memory_of(const std::string& folder, bool v2) {
  double bytes = 0;
  std::ifstream(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes")) >> bytes;  // "max"
  if (bytes > 0) return bytes;
  return std::nullopt;
}

/// What limits something in one cgroup, whose folder is given.
using Limit = std::optional<double> (*)(const std::string& folder, bool v2);

/// The least limit from the cgroup `below`, the process's own, up to the top of the mount.
std::optional<double> least_limit(const std::string& root, const Mount& mount, std::string below,
                                  Limit limit) {
  // A container may see a part of the hierarchy only, and may have been moved out of it ("/../x").
  if (mount.top != "/" && (below + "/").starts_with(mount.top + "/")) {
    below.erase(0, mount.top.size());
  }
  if ((below + "/").find("/../") != std::string::npos) below.clear();
  std::optional<double> least;
  for (;;) {
    while (below.ends_with('/')) below.pop_back();
    const auto found = limit(root + mount.place + below, mount.v2);
    if (found && (!least || *found < *least)) least = found;
    if (below.empty()) return least;
    below.erase(below.rfind('/') == std::string::npos ? 0 : below.rfind('/'));
  }
}

/// The least limit of all cgroups that the process is in.
std::optional<double> least_limit(const std::string& root, const std::string& controller,
                                  Limit limit) {
  std::optional<double> least;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::optional<Mount> mount = mount_in(line, controller);
    if (!mount) continue;
    const auto found = least_limit(root, *mount, own_cgroup(root, mount->v2, controller), limit);
    if (found && (!least || *found < *least)) least = found;
  }
  return least;
}

/// The CPUs of a list like "0,64" or "0-3".
std::vector<int> cpus_in(const std::string& list) {
  constexpr int kMost = 1 << 16;
  std::vector<int> cpus;
  for (const std::string& part : split(list, ',')) {
    int first = -1;
    int last = -1;
    char dash = ' ';
    std::istringstream stream(part);
    stream >> first;
    if (!(stream >> dash >> last)) last = first;
    for (int cpu = std::max(first, 0); cpu <= std::min(last, kMost); ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  return least_limit(root, "cpu", &quota_of);
}

std::optional<double> memory_limit(const std::string& root) {
  std::optional<double> least = least_limit(root, "memory", &memory_of);
  double total = 0;
  double swap = 0;
  std::ifstream meminfo(root + "/proc/meminfo");  // "MemTotal:  16384 kB"
  for (std::string word; meminfo >> word;) {
    if (word == "MemTotal:") meminfo >> total;
    if (word == "SwapTotal:") meminfo >> swap;
  }
  if (total > 0 && (!least || total * 1024 < *least)) least = total * 1024;
  if (least) *least += swap * 1024;
  return least;
}

std::vector<int> allowed_cpus() {
  constexpr int kMost = 1 << 20;
  // The kernel refuses a set that is smaller than its own, with EINVAL.
  for (int count = CPU_SETSIZE; count <= kMost; count *= 2) {
    const std::size_t bytes = CPU_ALLOC_SIZE(count);
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(count), [](cpu_set_t* memory) { CPU_FREE(memory); });
    if (!set) return {};
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      std::vector<int> cpus;
      for (int cpu = 0; cpu < count; ++cpu) {
        if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(cpu);
      }
      return cpus;
    }
    if (errno != EINVAL) return {};
  }
  return {};
}

int count_cores(const std::vector<int>& cpus, const std::string& root) {
  int cores = 0;
  std::set<int> seen;  // and their siblings: one file is read for each core
  for (const int cpu : cpus) {
    if (!seen.insert(cpu).second) continue;
    ++cores;
    std::ifstream file(root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string list;
    std::getline(file, list);
    for (const int sibling : cpus_in(list)) seen.insert(sibling);
  }
  return cores;
}

}  // namespace aira
