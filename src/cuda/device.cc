#include "cuda/device.h"

#include "aira/error.h"

namespace aira::cuda {
namespace {

/// Compute capability 7.5 (Turing) is the oldest that the kernels are built for.
constexpr int kOldestMajor = 7;
constexpr int kOldestMinor = 5;

/// CUDA's version numbers are 1000 major + 10 minor.
std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

[[noreturn]] void no_device(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  int driver = 0;
  int runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  if (driver == 0) throw Error("There is no NVIDIA driver on this machine; use --device cpu.");
  if (status == cudaErrorInsufficientDriver || driver < runtime) {
    throw Error("The NVIDIA driver is too old: it supports CUDA " + version(driver) +
                ", and this program needs " + version(runtime) +
                "; update the driver or use --device cpu.");
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    throw Error(
        "There is no GPU that CUDA can use (CUDA_VISIBLE_DEVICES may hide it); use --device cpu.");
  }
  check(status, "looking for devices");
  throw Error("The GPU cannot be used.");
}

}  // namespace

Device::Device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) no_device(status);
  cudaDeviceProp properties = {};
  check(cudaGetDeviceProperties(&properties, 0), "asking for the device's properties");
  if (properties.major * 10 + properties.minor < kOldestMajor * 10 + kOldestMinor) {
    throw Error(std::string("The GPU ") + properties.name + " has compute capability " +
                std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                "; 7.5 or later is needed. Use --device cpu.");
  }
  check(cudaSetDevice(0), "starting the device");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  description_ = std::string("cuda (") + properties.name + ")";
}

Device::~Device() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  static_cast<void>(cudaStreamDestroy(stream_));
}

}  // namespace aira::cuda
