// The processors and the memory that this process may use. The files of /proc and /sys are looked
// for below `root`, which tests set to a tree of their own.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace aira {

/// CPUs' worth of time that the process's own cgroup grants, those around it considered: the least
/// quota of all, of version 1 and 2. Nothing without a quota.
std::optional<double> cpu_quota(const std::string& root = "");

/// The most bytes of memory that the process can have: all that the machine has, or the least limit
/// of its cgroups, and all swap. Nothing when the system does not say.
std::optional<double> memory_limit(const std::string& root = "");

/// The numbers of the CPUs that the process's affinity allows, however many the machine has; empty
/// when the system does not say.
std::vector<int> allowed_cpus();

/// How many cores these CPUs belong to: SMT siblings share their core's arithmetic and its path to
/// memory.
int count_cores(const std::vector<int>& cpus, const std::string& root = "");

}  // namespace aira
