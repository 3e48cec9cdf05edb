#include "device/device.h"

#include <dlfcn.h>
#include <unistd.h>

#include "aira/error.h"
#include "base/catalogue.h"
#include "cpu/cpu_backend.h"

namespace aira {
namespace {

constexpr const char* kModule = "libaira_cuda.so";

/// The module's path; empty when it is not there, or when this program cannot load it.
std::filesystem::path find_module([[maybe_unused]] const std::filesystem::path& program) {
#ifndef AIRA_STATIC
  std::error_code ignored;
  for (const char* folder : {".", AIRA_MODULE_FOLDER}) {
    auto path = (program.parent_path() / folder / kModule).lexically_normal();
    if (std::filesystem::exists(path, ignored)) return path;
  }
#endif
  return {};
}

std::filesystem::path this_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored);
}

}  // namespace

std::unique_ptr<Backend> make_backend(Device device, ThreadPool& pool,
                                      const std::function<void(const std::string&)>& notice) {
  const std::filesystem::path program = this_program();
  // The driver's device file, and the one of Windows' subsystem for Linux.
  const bool driver = access("/dev/nvidiactl", F_OK) == 0 || access("/dev/dxg", F_OK) == 0;
  if (device == Device::kCuda) {
    if (!driver) {
      throw Error("[E501] There is no NVIDIA driver on this machine; use --device cpu.");
    }
    return load_cuda_module(program);
  }
  if (device == Device::kAuto && driver && !find_module(program).empty()) {
    try {
      return load_cuda_module(program);
    } catch (const Error& error) {
      if (notice) notice(message("{} Using the CPU instead.", {error.what()}));
    }
  }
  return make_cpu_backend(pool);
}

bool gpu_is_sooner(std::int64_t weights, std::int64_t answers) {
  if (answers == 0) return true;
  // The start was measured on an H100; a token of the CPU's is about one reading of the weights.
  constexpr double kStartSeconds = 0.4;
  constexpr double kMemoryBytesPerSecond = 10e9;
  constexpr double kTokens = 200;
  return static_cast<double>(answers) * kTokens * static_cast<double>(weights) >
         kStartSeconds * kMemoryBytesPerSecond;
}

std::filesystem::path cuda_module() { return find_module(this_program()); }

#ifdef AIRA_STATIC
std::unique_ptr<Backend> load_cuda_module(const std::filesystem::path& /*program*/) {
  throw Error(
      "[E710] This program is the static one, which cannot use a GPU; install the package with the "
      "CUDA module, or use --device cpu.");
}
#else
std::unique_ptr<Backend> load_cuda_module(const std::filesystem::path& program) {
  const std::filesystem::path path = find_module(program);
  if (path.empty()) {
    throw Error(
        "[E010] This program was built without its CUDA module ({} is not beside it); build with "
        "-DAIRA_CUDA=ON, or use --device cpu.",
        {kModule});
  }
  // Never closed: owners of its memory may live as long as the program.
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) throw Error("[E011] The CUDA module cannot be loaded: {}.", {dlerror()});
  const auto make =
      reinterpret_cast<Backend* (*)(const char*)>(dlsym(module, "aira_make_cuda_backend"));
  if (make == nullptr) {
    throw Error("[E012] {} is not this program's CUDA module.", {kModule});
  }
  return std::unique_ptr<Backend>(make(catalogue_in_use()));
}
#endif

}  // namespace aira
