#include "cuda/device_memory.h"

#include <string>

#include "aira/error.h"

namespace aira::cuda {
namespace {

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 999999) / 1000000); }

}  // namespace

Buffer allocate_device(std::int64_t bytes) {
  void* memory = nullptr;
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1));
  const cudaError_t status = cudaMalloc(&memory, size);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the free memory");
    throw Error("The GPU has too little memory: " + megabytes(size) + " MB more are needed and " +
                megabytes(free) + " of " + megabytes(total) +
                " MB are free; use --device cpu or a smaller model.");
  }
  check(status, "allocating memory");
  return {memory, [](void* p) { static_cast<void>(cudaFree(p)); }};
}

Buffer allocate_pinned(std::int64_t bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1))),
        "allocating host memory");
  return {memory, [](void* p) { static_cast<void>(cudaFreeHost(p)); }};
}

Buffer allocate_zeroed(std::int64_t bytes) {
  Buffer memory = allocate_device(bytes);
  check(cudaMemset(memory.get(), 0, static_cast<std::size_t>(bytes)), "clearing memory");
  // The default stream cleared it, which ours does not wait for.
  check(cudaDeviceSynchronize(), "clearing memory");
  return memory;
}

Uploader::Uploader(cudaStream_t stream) : stream_(stream) {
  for (Part& part : parts_) {
    check(cudaEventCreateWithFlags(&part.sent, cudaEventDisableTiming), "creating an event");
  }
}

Uploader::~Uploader() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  for (const Part& part : parts_) static_cast<void>(cudaEventDestroy(part.sent));
}

void* Uploader::next_part(std::int64_t bytes) {
  current_ ^= 1;
  Part& part = parts_[current_];
  check(cudaEventSynchronize(part.sent), "uploading weights");
  if (part.bytes < bytes) {
    part.memory = allocate_pinned(bytes);
    part.bytes = bytes;
  }
  return part.memory.get();
}

void Uploader::send(void* to, std::int64_t bytes) {
  Part& part = parts_[current_];
  check(cudaMemcpyAsync(to, part.memory.get(), static_cast<std::size_t>(bytes),
                        cudaMemcpyHostToDevice, stream_),
        "uploading weights");
  check(cudaEventRecord(part.sent, stream_), "uploading weights");
}

}  // namespace aira::cuda
