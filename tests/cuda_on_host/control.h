// What tests of kernels can set and see: the seed of the schedule, failures to inject, and the
// exception that a kernel's mistake becomes. Not part of CUDA's vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "runtime_api.h"

namespace cuda_on_host {

/// A kernel did what would hang a GPU or leave its result undefined: a barrier that not everyone
/// reaches, a write beside its memory. Not an aira::Error: it is never handled, it is a bug.
class KernelError : public std::logic_error {
 public:
  explicit KernelError(const std::string& what) : std::logic_error(what) {}
};

/// Restarts the order in which blocks, warps and lanes run. At start it is the environment's
/// AIRA_HOST_SEED, or 1.
void set_seed(std::uint64_t seed);
std::uint64_t seed();

/// Makes a barrier an error when threads of the block have ended before it. A GPU since sm_70 does
/// not wait for them; still it is seldom meant.
void set_strict_exit(bool strict);

/// What the machine is to be; each test should leave it as it was (Machine{}).
struct Machine {
  int devices = 1;
  cudaError_t device_count_status = cudaSuccess;
  std::size_t memory = std::size_t{4} << 30;  // cudaMalloc fails beyond it
  int driver_version = 13000;
  int major = 9;
  int minor = 0;
};
void set_machine(const Machine& machine);
const Machine& machine();

/// How much ran so far, for tests that must not pass because nothing did.
struct Counts {
  std::uint64_t kernels = 0;
  std::uint64_t blocks = 0;
  std::uint64_t threads = 0;
  std::uint64_t switches = 0;  // of one thread to another
  std::uint64_t graph_launches = 0;
  std::size_t bytes_allocated = 0;  // device memory that is not freed
  std::size_t allocations = 0;
};
Counts counts();

/// Throws KernelError when something was written around an allocation that lives. Every launch does
/// so at its end; builds with AddressSanitizer stop at the write itself.
void check_guards();

}  // namespace cuda_on_host
