#include "cuda/drawing.h"

#include <algorithm>
#include <cassert>

namespace aira::cuda {

Drawing::Drawing(cudaStream_t stream, Step& step) : stream_(stream), step_(step) {
  for (Flight& flight : flights_) {
    check(cudaEventCreateWithFlags(&flight.arrived, cudaEventDisableTiming), "creating an event");
  }
}

Drawing::~Drawing() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  for (const Flight& flight : flights_) static_cast<void>(cudaEventDestroy(flight.arrived));
}

void Drawing::reserve(std::int64_t count, std::int64_t vocab) {
  if (vocab > kDrawVocab) return;
  maxima_.reserve(count * draw_groups(vocab));
  if (count <= room_) return;
  constexpr auto kDrawBytes = static_cast<std::int64_t>(sizeof(DeviceDraw));
  constexpr auto kTokenBytes = static_cast<std::int64_t>(sizeof(std::int32_t));
  for (Flight& flight : flights_) {
    flight.host_options = allocate_pinned(count * kDrawBytes);
    flight.options = allocate_device(count * kDrawBytes);
    flight.host_tokens = allocate_pinned(count * kTokenBytes);
    flight.tokens = allocate_device(count * kTokenBytes);
  }
  room_ = count;
}

bool Drawing::can_draw(const DeviceDraw& draw, std::int64_t vocab) const {
  return vocab <= kDrawVocab && (draw.greedy || (draw.top_k > 0 && draw.top_k <= kDrawTopK));
}

void Drawing::draw(Tensor logits, std::span<const DeviceDraw> draws) {
  assert(flying_ < kDrawsAhead && static_cast<std::int64_t>(draws.size()) == logits.rows);
  assert(logits.rows <= room_);
  // A flight that was collected has nothing in transit.
  Flight& flight = flights_[(first_ + flying_) % kDrawsAhead];
  flight.count = logits.rows;
  if (flight.count > 0) {
    auto* options = static_cast<DeviceDraw*>(flight.options.get());
    std::copy(draws.begin(), draws.end(), static_cast<DeviceDraw*>(flight.host_options.get()));
    check(cudaMemcpyAsync(options, flight.host_options.get(), draws.size_bytes(),
                          cudaMemcpyHostToDevice, stream_),
          "sending sampling options");
    draw_tokens({.logits = logits.data,
                 .count = flight.count,
                 .vocab = logits.cols,
                 .rows = step_.arrays(),
                 .output_rows = step_.output_rows(),
                 .pages = step_.pages(),
                 .tokens = tokens_,
                 .options = options,
                 .maxima = maxima_.get(flight.count * draw_groups(logits.cols)),
                 .last = step_.drawn(),
                 .out = static_cast<std::int32_t*>(flight.tokens.get())},
                {stream_, false});
    check(cudaMemcpyAsync(flight.host_tokens.get(), flight.tokens.get(),
                          draws.size() * sizeof(std::int32_t), cudaMemcpyDeviceToHost, stream_),
          "fetching tokens");
    check(cudaEventRecord(flight.arrived, stream_), "fetching tokens");
  }
  ++flying_;
}

std::span<const std::int32_t> Drawing::drawn() {
  assert(flying_ > 0);
  step_.abandon();
  const Flight& flight = flights_[first_];
  first_ = (first_ + 1) % kDrawsAhead;
  --flying_;
  if (flight.count == 0) return {};
  check(cudaEventSynchronize(flight.arrived), "computing a step");
  return {static_cast<const std::int32_t*>(flight.host_tokens.get()),
          static_cast<std::size_t>(flight.count)};
}

}  // namespace aira::cuda
