// Submitting work, and what it is ordered after (streams.h).
#include "streams.h"

#include <utility>

#include "allocations.h"

namespace cuda_on_host {
namespace {

CUstream_st& default_stream() {
  static CUstream_st& stream = *[] {
    auto* const made = new CUstream_st;
    streams().push_back(made);
    return made;
  }();
  return stream;
}

// The stream's actor comes after what the host did before it submitted.
void follow_host(CUstream_st& stream) {
  stream.submitted.release();
  const As actor(stream.actor);
  stream.submitted.acquire();
}

// And after all that the stream must wait for.
void follow_streams(CUstream_st& stream) {
  const As actor(stream.actor);
  stream.done.acquire();
  if (&stream == &default_stream()) {
    for (CUstream_st* const other : streams()) {
      if (other->blocking) other->done.acquire();
    }
  } else if (stream.blocking) {
    default_stream().done.acquire();
  }
}

// The stream has done what the launch did.
void collect(CUstream_st& stream, LaunchClocks& clocks) {
  const As collector(stream.collector);
  clocks.done.acquire();
  stream.done.release();
}

void run_kernel(CUstream_st& stream, const Work& work, bool may_overlap) {
  follow_host(stream);
  const auto before = stream.last_kernel;
  const bool overlaps = work.shape.dependent && may_overlap && before != nullptr;
  // A dependent kernel may start as early as the one before it did.
  if (!overlaps) follow_streams(stream);
  auto clocks = std::make_shared<LaunchClocks>();
  {
    const As actor(stream.actor);
    clocks->start.release();
  }
  stream.last_kernel = clocks;
  const Actor launcher = Actor::running();
  Grid grid_to_run = {.shape = work.shape,
                      .thread_body = work.body,
                      .clocks = *clocks,
                      .awaited = overlaps ? before.get() : nullptr,
                      .launcher = launcher};
  try {
    run(grid_to_run);
  } catch (...) {
    collect(stream, *clocks);
    throw;
  }
  collect(stream, *clocks);
  check_guards_after(work.shape.name);
}

void run_now(CUstream_st& stream, const Work& work, bool may_overlap) {
  if (work.is_kernel) {
    run_kernel(stream, work, may_overlap);
    return;
  }
  follow_host(stream);
  follow_streams(stream);
  stream.last_kernel = nullptr;
  const As actor(stream.actor);
  work.body();
  stream.done.release();
}

// Frees the closures after every thread that read them.
void drop(CUstream_st& stream, std::vector<Work>& work) {
  const As janitors(janitor());
  stream.done.acquire();
  std::vector<Work>().swap(work);
}

cudaError_t check_shape(const LaunchShape& shape) {
  const dim3& grid_size = shape.grid;
  const dim3& block = shape.block;
  const bool empty = grid_size.x == 0 || grid_size.y == 0 || grid_size.z == 0 || block.x == 0 ||
                     block.y == 0 || block.z == 0;
  const bool too_big = grid_size.x > 0x7fffffffU || grid_size.y > 65535 || grid_size.z > 65535 ||
                       block.x > 1024 || block.y > 1024 || block.z > 64 ||
                       std::uint64_t{block.x} * block.y * block.z > 1024;
  return empty || too_big ? cudaErrorInvalidConfiguration : cudaSuccess;
}

}  // namespace

std::vector<CUstream_st*>& streams() {
  static auto& all = *new std::vector<CUstream_st*>;
  return all;
}

std::recursive_mutex& api_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

CUstream_st& stream_of(cudaStream_t stream) {
  return stream == nullptr ? default_stream() : *stream;
}

cudaError_t submit(CUstream_st& stream, Work work) {
  if (stream.graph != nullptr) {
    stream.graph->work.push_back(std::move(work));
    return cudaSuccess;
  }
  std::vector<Work> one;
  one.push_back(std::move(work));
  try {
    run_now(stream, one.front(), true);
  } catch (...) {
    drop(stream, one);
    throw;
  }
  drop(stream, one);
  return cudaSuccess;
}

void replay(CUstream_st& stream, const std::vector<Work>& work) {
  bool first = true;  // nothing in a graph overlaps what was before it
  for (const Work& one : work) {
    run_now(stream, one, !first);
    first = false;
  }
}

void synchronize(CUstream_st& stream) { stream.done.acquire(); }

void synchronize_all() {
  static_cast<void>(default_stream());
  for (CUstream_st* const stream : streams()) stream->done.acquire();
}

cudaError_t launch(const LaunchShape& shape, const void* kernel,
                   std::function<void()> thread_body) {
  const Lock lock(api_mutex());
  const cudaError_t status = check_shape(shape);
  if (status != cudaSuccess) return report(status);
  if (shape.shared_bytes > dynamic_shared_limit(kernel)) return report(cudaErrorInvalidValue);
  return submit(stream_of(shape.stream), {shape, std::move(thread_body), true});
}

}  // namespace cuda_on_host

using namespace cuda_on_host;  // NOLINT(google-build-using-namespace): the API is in no namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Lock lock(api_mutex());
  *stream = new CUstream_st;
  (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
  streams().push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (stream == nullptr) return report(cudaErrorInvalidResourceHandle);
  // What it did is not forgotten: whoever waits for everything waits for it.
  stream->done.acquire();
  std::erase(streams(), stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (stream_of(stream).graph != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  synchronize(stream_of(stream));
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaDeviceSynchronize() {
  const Lock lock(api_mutex());
  if (captures_globally()) return report(cudaErrorStreamCaptureUnsupported);
  synchronize_all();
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(api_mutex());
  CUstream_st& in = stream_of(stream);
  event->graph = in.graph;
  if (in.graph != nullptr) return cudaSuccess;
  follow_host(in);
  follow_streams(in);
  in.last_kernel = nullptr;
  event->time = std::chrono::steady_clock::now();  // as the host: the call is seen by sanitizers
  const As actor(in.actor);
  event->recorded.release();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const Lock lock(api_mutex());
  static_cast<void>(flags);
  CUstream_st& waiting = stream_of(stream);
  if (event->graph != nullptr && waiting.graph == nullptr) {  // the capture spreads to this stream
    waiting.graph = event->graph;
    ++waiting.graph->capturing;
  }
  if (waiting.graph != nullptr) return cudaSuccess;  // a graph's work is done in the order it came
  waiting.last_kernel = nullptr;
  const As actor(waiting.actor);
  event->recorded.acquire();
  waiting.done.release();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(api_mutex());
  event->recorded.acquire();
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (!from->timed || !to->timed) return report(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}
