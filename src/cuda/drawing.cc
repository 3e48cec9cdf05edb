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
  first_ = flying_ = 0;
  if (vocab > kDrawVocab) return;
  maxima_.reserve(count * draw_groups(vocab));
  sums_.reserve(count * draw_chunks(vocab));
  prepared_.reserve(static_cast<std::size_t>(count));
  draws_.reserve(static_cast<std::size_t>(count));
  if (count <= room_) return;
  drawn_ = allocate_pinned(kDrawsAhead * count * static_cast<std::int64_t>(sizeof(DrawnToken)));
  room_ = count;
}

bool Drawing::can_draw(const DeviceDraw& draw, std::int64_t vocab) const {
  return vocab <= kDrawVocab && (draw.greedy || (draw.top_k > 0 && draw.top_k <= kDrawTopK));
}

std::span<const DeviceDraw> Drawing::take_draws() {
  starting_ = false;
  draws_.swap(prepared_);
  prepared_.clear();
  return draws_;
}

void Drawing::draw(Tensor logits) {
  assert(flying_ < kDrawsAhead && static_cast<std::int64_t>(draws_.size()) == logits.rows);
  assert(logits.rows <= room_);
  flights_[flight()].count = logits.rows;
  starting_ = true;
  if (step_.replaying() || logits.rows == 0) return;
  const std::int64_t count = step_.output_count();
  draw_tokens({.logits = logits.data,
               .count = count,
               .vocab = logits.cols,
               .rows = step_.arrays(),
               .output_rows = step_.output_rows(),
               .pages = step_.pages(),
               .tokens = tokens_,
               .options = step_.draws(),
               .maxima = maxima_.get(count * draw_groups(logits.cols)),
               .sums = sums_.get(count * draw_chunks(logits.cols)),
               .last = step_.drawn(),
               .out = static_cast<DrawnToken*>(drawn_.get()),
               .room = room_,
               .flight = step_.flight()},
              step_.stream());
}

void Drawing::started() {
  if (!starting_) return;
  starting_ = false;
  check(cudaEventRecord(flights_[flight()].arrived, stream_), "drawing tokens");
  ++flying_;
}

std::span<const DrawnToken> Drawing::drawn() {
  assert(flying_ > 0);
  step_.abandon();
  const Flight& flight = flights_[first_];
  const std::int64_t at = first_ * room_;
  first_ = (first_ + 1) % kDrawsAhead;
  --flying_;
  if (flight.count == 0) return {};
  check(cudaEventSynchronize(flight.arrived), "computing a step");
  return {static_cast<const DrawnToken*>(drawn_.get()) + at,
          static_cast<std::size_t>(flight.count)};
}

}  // namespace aira::cuda
