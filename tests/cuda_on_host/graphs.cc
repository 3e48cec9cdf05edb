// Capturing a stream and doing what was captured again. A graph keeps each kernel's arguments as
// they were at its capture, and its work in the order in which it was submitted.
#include <algorithm>
#include <utility>

#include "streams.h"

namespace cuda_on_host {
namespace {

cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeRelaxed;

/// Deletes it as the janitor, after the caller's own use and all work that was submitted.
template <typename Graph>
cudaError_t destroy(Graph* graph) {
  const Lock lock(api_mutex());
  Clock handed_over;
  handed_over.release();
  const As janitors(janitor());
  handed_over.acquire();
  synchronize_all();
  delete graph;
  return cudaSuccess;
}

}  // namespace

bool captures_globally() {
  return capture_mode != cudaStreamCaptureModeRelaxed &&
         std::any_of(streams().begin(), streams().end(),
                     [](const CUstream_st* stream) { return stream->graph != nullptr; });
}

}  // namespace cuda_on_host

using namespace cuda_on_host;  // NOLINT(google-build-using-namespace): the API is in no namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Lock lock(api_mutex());
  if (stream == nullptr || stream->graph != nullptr) {
    return report(cudaErrorStreamCaptureUnsupported);  // the default stream cannot be captured
  }
  stream->graph = new CUgraph_st;
  stream->graph->capturing = 1;
  stream->origin = true;
  capture_mode = mode;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(api_mutex());
  *graph = nullptr;
  if (stream == nullptr || stream->graph == nullptr || !stream->origin) {
    return report(cudaErrorInvalidValue);
  }
  *graph = stream->graph;
  for (CUstream_st* const other : streams()) {
    if (other->graph == *graph) other->graph = nullptr;
  }
  stream->origin = false;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(api_mutex());
  *status = stream_of(stream).graph != nullptr ? cudaStreamCaptureStatusActive
                                               : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags) {
  static_cast<void>(flags);
  const Lock lock(api_mutex());
  if (graph == nullptr) return report(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  if (graph == nullptr) return report(cudaErrorInvalidValue);
  for (std::size_t i = 0; nodes != nullptr && i < std::min(*count, graph->work.size()); ++i) {
    nodes[i] = reinterpret_cast<cudaGraphNode_t>(&graph->work[i]);
  }
  *count = graph->work.size();
  return cudaSuccess;
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  const bool kernel = reinterpret_cast<const Work*>(node)->is_kernel;
  *type = kernel ? cudaGraphNodeTypeKernel : cudaGraphNodeTypeMemcpy;
  return cudaSuccess;
}

// Work is in a row; a kernel that is launched as dependent behind another may start early.
cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to,
                              cudaGraphEdgeData* edges, std::size_t* count) {
  if (graph == nullptr) return report(cudaErrorInvalidValue);
  std::vector<Work>& work = graph->work;
  for (std::size_t i = 1; from != nullptr && i < work.size() && i <= *count; ++i) {
    from[i - 1] = reinterpret_cast<cudaGraphNode_t>(&work[i - 1]);
    to[i - 1] = reinterpret_cast<cudaGraphNode_t>(&work[i]);
    const bool early = work[i - 1].is_kernel && work[i].is_kernel && work[i].shape.dependent;
    edges[i - 1].type =
        early ? cudaGraphDependencyTypeProgrammatic : cudaGraphDependencyTypeDefault;
  }
  *count = work.empty() ? 0 : work.size() - 1;
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  static_cast<void>(stream);
  return exec == nullptr ? report(cudaErrorInvalidValue) : cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Lock lock(api_mutex());
  if (exec == nullptr) return report(cudaErrorInvalidValue);
  CUstream_st& in = stream_of(stream);
  if (in.graph != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  ++total.graph_launches;
  replay(in, exec->work);
  in.last_kernel = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return destroy(exec); }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy(graph); }
