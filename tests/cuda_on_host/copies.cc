// Copies and fills. A copy that touches pageable host memory holds the host up, one between device
// and pinned memory does not: ThreadSanitizer sees the host's accesses during it.
#include <cstring>

#include "allocations.h"
#include "streams.h"

using namespace cuda_on_host;  // NOLINT(google-build-using-namespace): the API is in no namespace

namespace {

bool on_device(Place place) { return place == Place::kDevice; }

// What the caller says about the two ends must be true.
bool fits(Place to, Place from, cudaMemcpyKind kind) {
  if (to == Place::kBeyond || from == Place::kBeyond) return false;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !on_device(to) && !on_device(from);
    case cudaMemcpyHostToDevice:
      return on_device(to) && !on_device(from);
    case cudaMemcpyDeviceToHost:
      return !on_device(to) && on_device(from);
    case cudaMemcpyDeviceToDevice:
      return on_device(to) && on_device(from);
    case cudaMemcpyDefault:
      break;
  }
  return true;
}

struct Span2D {
  std::size_t to_pitch, from_pitch, width, height;
};

cudaError_t copy(void* to, const void* from, Span2D span, cudaMemcpyKind kind,
                 CUstream_st& stream) {
  if (span.width == 0 || span.height == 0) return cudaSuccess;
  const Place target = place_of(to, span.to_pitch * (span.height - 1) + span.width);
  const Place source = place_of(from, span.from_pitch * (span.height - 1) + span.width);
  if (!fits(target, source, kind)) return report(cudaErrorInvalidValue);
  const bool holds_host = target == Place::kHost || source == Place::kHost;
  if (holds_host && stream.graph != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  const auto work = [to, from, span] {
    for (std::size_t row = 0; row < span.height; ++row) {
      std::memcpy(static_cast<char*>(to) + row * span.to_pitch,
                  static_cast<const char*>(from) + row * span.from_pitch, span.width);
    }
  };
  const cudaError_t status = submit(stream, {{}, work, false});
  if (holds_host) synchronize(stream);
  return status;
}

cudaError_t fill(void* to, int value, std::size_t bytes, CUstream_st& stream) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(place_of(to, bytes))) return report(cudaErrorInvalidValue);
  return submit(stream, {{}, [to, value, bytes] { std::memset(to, value, bytes); }, false});
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock(api_mutex());
  return copy(to, from, {bytes, bytes, bytes, 1}, kind, stream_of(stream));
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (width > to_pitch || width > from_pitch) return report(cudaErrorInvalidValue);
  return copy(to, from, {to_pitch, from_pitch, width, height}, kind, stream_of(stream));
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const Lock lock(api_mutex());
  if (captures_globally()) return report(cudaErrorStreamCaptureUnsupported);
  const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  synchronize(stream_of(nullptr));
  return status;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const Lock lock(api_mutex());
  return fill(to, value, bytes, stream_of(stream));
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  const Lock lock(api_mutex());
  if (captures_globally()) return report(cudaErrorStreamCaptureUnsupported);
  return fill(to, value, bytes, stream_of(nullptr));
}
