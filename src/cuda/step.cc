#include "cuda/step.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstring>

namespace aira::cuda {
namespace {

/// A line on stderr about a recorded step: of how many rows, what is in it, and how many kernels
/// may start early.
void describe(cudaGraph_t graph, std::int64_t rows) {
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph, nullptr, &count), "describing a recorded step");
  std::vector<cudaGraphNode_t> nodes(count);
  check(cudaGraphGetNodes(graph, nodes.data(), &count), "describing a recorded step");
  const auto kernels = std::count_if(nodes.begin(), nodes.end(), [](cudaGraphNode_t node) {
    cudaGraphNodeType type = {};
    check(cudaGraphNodeGetType(node, &type), "describing a recorded step");
    return type == cudaGraphNodeTypeKernel;
  });
  // Room for them all: what is captured from one stream is a chain.
  std::vector<cudaGraphNode_t> from(count);
  std::vector<cudaGraphNode_t> to(count);
  std::vector<cudaGraphEdgeData> edges(count);
  check(cudaGraphGetEdges(graph, from.data(), to.data(), edges.data(), &count),
        "describing a recorded step");
  edges.resize(count);
  const auto early = std::count_if(edges.begin(), edges.end(), [](const cudaGraphEdgeData& edge) {
    return edge.type == cudaGraphDependencyTypeProgrammatic;
  });
  std::fprintf(stderr, "graph: rows %lld, nodes %zu, kernels %td, edges %zu, programmatic %td\n",
               static_cast<long long>(rows), nodes.size(), kernels, edges.size(), early);
}

}  // namespace

std::int64_t Step::bucket(std::int64_t rows) {
  if (rows > kMostRecorded) return rows;
  std::int64_t size = rows > 0 ? 1 : 0;
  while (size < rows) size *= 2;
  return size;
}

Step::Step(cudaStream_t stream, const Switches& switches) : stream_(stream), switches_(switches) {
  check(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming), "creating an event");
}

Step::~Step() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  forget();
  static_cast<void>(cudaEventDestroy(sent_));
}

void Step::forget() {
  abandon();
  for (auto& [key, recording] : recordings_) {
    if (recording.graph != nullptr) static_cast<void>(cudaGraphExecDestroy(recording.graph));
  }
  recordings_.clear();
  current_ = nullptr;
}

void Step::abandon() {
  const Mode mode = mode_;
  mode_ = Mode::kDirect;
  in_progress_ = recordable_ = false;
  if (mode != Mode::kRecording) return;
  cudaGraph_t graph = nullptr;
  static_cast<void>(cudaStreamEndCapture(stream_, &graph));
  if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
  static_cast<void>(cudaGetLastError());
}

void Step::group(std::span<const Row> rows) {
  groups_.clear();
  singles_.clear();
  const auto follows = [&](std::size_t i) {
    return i > 0 && i < rows.size() && rows[i].slot == rows[i - 1].slot &&
           rows[i].position == rows[i - 1].position + 1;
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].prompt && !follows(i) && !follows(i + 1)) {
      singles_.push_back(static_cast<std::int32_t>(i));
    } else if (follows(i) && groups_.back().rows < kGroupRows) {
      ++groups_.back().rows;
    } else {
      groups_.push_back({static_cast<std::int32_t>(i), 1, rows[i].slot, rows[i].position});
    }
  }
  decodes_ = groups_.empty();
}

void Step::reserve(const StepLimits& limits) {
  const std::int64_t rows = bucket(limits.rows);
  const std::int64_t width = (limits.context + kPagePositions - 1) / kPagePositions;
  const std::int64_t outputs = bucket(limits.output_rows);
  const std::int64_t ints = aligned(3 * rows + outputs + 1) +
                            aligned(kDrawInts * outputs + limits.slots * width) +
                            (kGroupInts + 1) * limits.rows;
  groups_.reserve(static_cast<std::size_t>(limits.rows));
  singles_.reserve(static_cast<std::size_t>(limits.rows));
  if (ints > capacity_) {
    host_ = allocate_pinned(ints * kInt);
    device_ = allocate_device(ints * kInt);
    capacity_ = ints;
  }
  if (limits.slots > slots_) {
    drawn_ = allocate_device(limits.slots * kInt);
    slots_ = limits.slots;
  }
}

void Step::begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
                 const PageTable& table, std::span<const DeviceDraw> draws, int flight) {
  abandon();
  table_ = table;
  draws_ = !draws.empty();
  assert(!draws_ || draws.size() == output_rows.size());
  std::int32_t last = 0;
  for (const Row& row : rows) last = std::max(last, row.position);
  positions_ = kSplitKeys;
  while (positions_ <= last) positions_ *= 2;
  group(rows);
  recordable_ = decodes_ && static_cast<std::int64_t>(rows.size()) <= kMostRecorded;
  rows_ = padded(static_cast<std::int64_t>(rows.size()));
  outputs_ = padded(static_cast<std::int64_t>(output_rows.size()));
  send(rows, output_rows, draws, flight);
  in_progress_ = true;
}

void Step::send(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
                std::span<const DeviceDraw> draws, int flight) {
  const std::int64_t ints = singles_at() + single_count();
  assert(ints <= capacity_);
  check(cudaEventSynchronize(sent_), "sending rows");
  auto* host = static_cast<std::int32_t*>(host_.get());
  for (std::int64_t i = 0; i < rows_; ++i) {
    const bool there = i < static_cast<std::int64_t>(rows.size());
    const Row row = there ? rows[static_cast<std::size_t>(i)] : Row{0, -1, 0};
    host[i] = row.token;
    host[rows_ + i] = row.slot;
    host[2 * rows_ + i] = row.position;
  }
  for (std::int64_t i = 0; i < outputs_; ++i) {
    const bool there = i < static_cast<std::int64_t>(output_rows.size());
    host[3 * rows_ + i] = there ? output_rows[static_cast<std::size_t>(i)] : 0;
  }
  host[3 * rows_ + outputs_] = flight;
  if (draws_) {
    const DeviceDraw filler = {.top_k = 0};
    auto* to = reinterpret_cast<DeviceDraw*>(host + draws_at());
    std::fill(std::copy(draws.begin(), draws.end(), to), to + outputs_, filler);
  }
  std::copy(table_.pages.begin(), table_.pages.end(), host + pages_at());
  std::memcpy(host + groups_at(), groups_.data(), groups_.size() * sizeof(RowGroup));
  std::copy(singles_.begin(), singles_.end(), host + singles_at());
  check(cudaMemcpyAsync(device_.get(), host_.get(),
                        static_cast<std::size_t>(ints) * sizeof(std::int32_t),
                        cudaMemcpyHostToDevice, stream_),
        "sending rows");
  check(cudaEventRecord(sent_, stream_), "sending rows");
}

RowArrays Step::arrays() const {
  return {device_ints(), device_ints() + rows_, device_ints() + 2 * rows_, drawn()};
}

const RowGroup* Step::groups() const {
  return reinterpret_cast<const RowGroup*>(device_ints() + groups_at());
}

bool Step::replays(const void* memory) {
  if (!recordable_ || !switches_.graph) return false;
  current_ = &recordings_[{rows_, outputs_, table_.width, positions_, draws_, memory}];
  ++current_->seen;
  if (current_->graph != nullptr) {
    mode_ = Mode::kReplaying;
    return true;
  }
  // The first step of a size runs directly: it loads code, which a recording must not.
  if (current_->seen > 1) {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a step");
    mode_ = Mode::kRecording;
  }
  return false;
}

void Step::end() {
  if (mode_ == Mode::kRecording) {
    cudaGraph_t graph = nullptr;
    mode_ = Mode::kDirect;
    check(cudaStreamEndCapture(stream_, &graph), "recording a step");
    if (switches_.nodes) describe(graph, rows_);
    const cudaError_t status = cudaGraphInstantiate(&current_->graph, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check(status, "preparing a recorded step");
    mode_ = Mode::kReplaying;
  }
  if (mode_ == Mode::kReplaying) {
    check(cudaGraphLaunch(current_->graph, stream_), "running a recorded step");
  }
  abandon();
}

}  // namespace aira::cuda
