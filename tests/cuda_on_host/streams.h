// Streams, events and graphs. Work is done when it is submitted; what stays of a stream is the
// order it promises, kept in clocks for ThreadSanitizer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "order.h"
#include "runtime_api.h"
#include "scheduler.h"

namespace cuda_on_host {

/// A kernel or a copy, with its arguments' values.
struct Work {
  LaunchShape shape;           // of a kernel
  std::function<void()> body;  // a kernel's thread, or the whole of a copy
  bool is_kernel = false;
};

}  // namespace cuda_on_host

struct CUgraph_st {
  std::vector<cuda_on_host::Work> work;
  int capturing = 0;  // streams
};

struct CUgraphExec_st {
  std::vector<cuda_on_host::Work> work;
};

struct CUstream_st {
  bool blocking = true;           // waits for the default stream and makes it wait
  cuda_on_host::Clock done;       // everything submitted so far
  cuda_on_host::Clock submitted;  // what the host knew then
  cuda_on_host::Actor actor;      // copies; knows what is done before the next thing to run
  cuda_on_host::Actor collector;  // knows what the kernels did
  /// Of the kernel that was the last thing in the stream, for one that is launched as dependent.
  std::shared_ptr<cuda_on_host::LaunchClocks> last_kernel;
  cudaGraph_t graph = nullptr;  // while it is captured
  bool origin = false;          // of the capture
};

struct CUevent_st {
  cuda_on_host::Clock recorded;
  std::chrono::steady_clock::time_point time;
  bool timed = true;
  cudaGraph_t graph = nullptr;  // recorded in this capture
};

namespace cuda_on_host {

/// Held by every function of the API.
std::recursive_mutex& api_mutex();
using Lock = std::lock_guard<std::recursive_mutex>;

/// Keeps the error for cudaGetLastError.
cudaError_t report(cudaError_t error);

/// All that live.
std::vector<CUstream_st*>& streams();
CUstream_st& stream_of(cudaStream_t stream);
/// Does it, or records it in the stream's capture.
cudaError_t submit(CUstream_st& stream, Work work);
/// Does a graph's work again.
void replay(CUstream_st& stream, const std::vector<Work>& work);
/// The host waits for the stream, or for all.
void synchronize(CUstream_st& stream);
void synchronize_all();
/// Whether a stream is captured that forbids calls which might wait for it.
bool captures_globally();

}  // namespace cuda_on_host
