#include "cuda/device.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "aira/error.h"

namespace aira::cuda {
namespace {

constexpr int kOldest = 75;  // compute capability; the oldest that the kernels are built for

/// CUDA's version numbers are 1000 major + 10 minor.
std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 999999) / 1000000); }

[[noreturn]] void no_device(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  int driver = 0;
  int runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  if (driver == 0) {
    throw Error("[E501] There is no NVIDIA driver on this machine; use --device cpu.");
  }
  if (status == cudaErrorInsufficientDriver || driver < runtime) {
    throw Error(
        "[E502] The NVIDIA driver is too old: it supports CUDA {}, and this program needs {}; "
        "update the driver or use --device cpu.",
        {version(driver), version(runtime)});
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    throw Error(
        "[E503] There is no GPU that CUDA can use (CUDA_VISIBLE_DEVICES may hide it); use --device "
        "cpu.");
  }
  check(status, "looking for devices");
  throw Error("[E504] The GPU cannot be used.");
}

bool switched(const char* name, bool otherwise) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return otherwise;
  const std::string text = value;
  if (text != "on" && text != "off") {
    throw Error("[E505] {} is \"{}\"; it must be on or off.", {name, text});
  }
  return text == "on";
}

}  // namespace

Switches read_switches() {
  const Switches usual;
  return {.graph = switched("AIRA_CUDA_GRAPH", usual.graph),
          .pdl = switched("AIRA_CUDA_PDL", usual.pdl),
          .few = switched("AIRA_CUDA_FEW", usual.few),
          .wgmma = switched("AIRA_CUDA_WGMMA", usual.wgmma),
          .nodes = switched("AIRA_CUDA_NODES", usual.nodes)};
}

Device::Device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) no_device(status);
  cudaDeviceProp properties = {};
  check(cudaGetDeviceProperties(&properties, 0), "asking for the device's properties");
  capability_ = properties.major * 10 + properties.minor;
  if (capability_ < kOldest) {
    throw Error(
        "[E506] The GPU {} has compute capability {}.{}; 7.5 or later is needed. Use --device cpu.",
        {properties.name, std::to_string(properties.major), std::to_string(properties.minor)});
  }
  check(cudaSetDevice(0), "starting the device");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  description_ = std::string("cuda (") + properties.name + ")";
  std::array<char, 32> bus_id{};
  check(cudaDeviceGetPCIBusId(bus_id.data(), bus_id.size(), 0), "asking for the device's place");
  bus_id_ = bus_id.data();
}

Device::~Device() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  static_cast<void>(cudaStreamDestroy(stream_));
}

Buffer allocate_device(std::int64_t bytes) {
  void* memory = nullptr;
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));
  const cudaError_t status = cudaMalloc(&memory, size);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the free memory");
    throw Error(
        "[E507] The GPU has too little memory: {} MB more are needed and {} of {} MB are free; use "
        "--device cpu or a smaller model.",
        {megabytes(size), megabytes(free), megabytes(total)});
  }
  check(status, "allocating memory");
  return {memory, [](void* p) { static_cast<void>(cudaFree(p)); }};
}

Buffer allocate_zeroed(std::int64_t bytes) {
  Buffer memory = allocate_device(bytes);
  check(cudaMemset(memory.get(), 0, static_cast<std::size_t>(bytes)), "clearing memory");
  // The default stream cleared it, which ours does not wait for.
  check(cudaDeviceSynchronize(), "clearing memory");
  return memory;
}

Buffer allocate_pinned(std::int64_t bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1))),
        "allocating host memory");
  return {memory, [](void* p) { static_cast<void>(cudaFreeHost(p)); }};
}

}  // namespace aira::cuda
