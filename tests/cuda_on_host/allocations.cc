// cudaMalloc and its family: guarded host memory, counted against the machine's.
#include "allocations.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>

#include "control.h"
#include "guarded.h"
#include "streams.h"

namespace cuda_on_host {
namespace {

constexpr std::size_t kAlignment = 256;

struct Allocation {
  std::size_t bytes;
  Place place;
  bool ours;  // not registered host memory
};

std::map<char*, Allocation>& allocations() {
  static auto& all = *new std::map<char*, Allocation>;
  return all;
}

cudaError_t allocate(void** pointer, std::size_t bytes, Place place) {
  *pointer = nullptr;
  if (captures_globally()) return report(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return cudaSuccess;
  const bool device = place == Place::kDevice;
  if (device && bytes > machine().memory - std::min(machine().memory, total.bytes_allocated)) {
    return report(cudaErrorMemoryAllocation);
  }
  void* const memory = guarded_alloc(bytes, kAlignment);
  if (memory == nullptr) return report(cudaErrorMemoryAllocation);
  allocations()[static_cast<char*>(memory)] = {bytes, place, true};
  if (device) {
    total.bytes_allocated += bytes;
    ++total.allocations;
  }
  *pointer = memory;
  return cudaSuccess;
}

cudaError_t release(void* pointer, Place place) {
  if (pointer == nullptr) return cudaSuccess;
  if (captures_globally()) return report(cudaErrorStreamCaptureUnsupported);
  const auto found = allocations().find(static_cast<char*>(pointer));
  if (found == allocations().end() || found->second.place != place || !found->second.ours) {
    return report(cudaErrorInvalidValue);
  }
  synchronize_all();  // as cudaFree does
  if (place == Place::kDevice) {
    total.bytes_allocated -= found->second.bytes;
    --total.allocations;
  }
  allocations().erase(found);
  guarded_free(pointer, kAlignment);
  return cudaSuccess;
}

std::string damaged() {
  for (auto& [memory, allocation] : allocations()) {
    if (allocation.ours && !guards_intact(memory, allocation.bytes)) {
      set_guards(memory, allocation.bytes);  // the next damage is another's
      return "wrote outside an allocation of " + std::to_string(allocation.bytes) + " bytes";
    }
  }
  return {};
}

}  // namespace

Place place_of(const void* pointer, std::size_t bytes) {
  auto* const first = static_cast<char*>(const_cast<void*>(pointer));
  const auto next = allocations().upper_bound(first);
  if (next == allocations().begin()) return Place::kHost;
  const auto& [memory, allocation] = *std::prev(next);
  const auto offset = static_cast<std::size_t>(first - memory);
  if (offset >= allocation.bytes) return Place::kHost;
  return offset + bytes <= allocation.bytes ? allocation.place : Place::kBeyond;
}

void check_guards_after(const char* kernel) {
  const std::string damage = damaged();
  if (!damage.empty()) throw KernelError(std::string("kernel ") + kernel + ": " + damage);
}

void check_guards() {
  const Lock lock(api_mutex());
  const std::string damage = damaged();
  if (!damage.empty()) throw KernelError("somebody " + damage);
}

}  // namespace cuda_on_host

using namespace cuda_on_host;  // NOLINT(google-build-using-namespace): the API is in no namespace

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const Lock lock(api_mutex());
  return allocate(pointer, bytes, Place::kDevice);
}

cudaError_t cudaFree(void* pointer) {
  const Lock lock(api_mutex());
  return release(pointer, Place::kDevice);
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  const Lock lock(api_mutex());
  return allocate(pointer, bytes, Place::kPinned);
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  static_cast<void>(flags);
  return cudaMallocHost(pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) {
  const Lock lock(api_mutex());
  return release(pointer, Place::kPinned);
}

cudaError_t cudaHostRegister(void* pointer, std::size_t bytes, unsigned flags) {
  const Lock lock(api_mutex());
  static_cast<void>(flags);
  if (pointer == nullptr || bytes == 0) return report(cudaErrorInvalidValue);
  allocations()[static_cast<char*>(pointer)] = {bytes, Place::kPinned, false};
  return cudaSuccess;
}

cudaError_t cudaHostUnregister(void* pointer) {
  const Lock lock(api_mutex());
  const auto found = allocations().find(static_cast<char*>(pointer));
  if (found == allocations().end() || found->second.ours) return report(cudaErrorInvalidValue);
  synchronize_all();
  allocations().erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* all) {
  const Lock lock(api_mutex());
  *all = machine().memory;
  *free = *all - std::min(*all, total.bytes_allocated);
  return cudaSuccess;
}
