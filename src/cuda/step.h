// One step's rows on the device, and the recording of decode steps as CUDA graphs.
//
// A decode step (one row per sequence) launches the same kernels with the same arguments each time:
// what changes (ids, slots, positions, pages) is in device memory. The second step of a size is
// recorded and later ones are replayed by a single launch. Sizes are rounded up to buckets; the
// extra rows touch no cache.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "cuda/device.h"
#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

class Step {
 public:
  /// The largest step that is recorded, in rows.
  static constexpr std::int64_t kMostRecorded = 512;
  /// The bucket of `rows`: the next power of two up to kMostRecorded, beyond it `rows` itself.
  static std::int64_t bucket(std::int64_t rows);

  Step(cudaStream_t stream, const Switches& switches);
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Allocates memory for steps within `limits`, and within those reserved before. There must be no
  /// recordings and no unfinished steps.
  void reserve(const StepLimits& limits);
  /// Sends rows, output rows, draws and the page table to the device. With `draws`, one per output
  /// row, the step draws tokens, which arrive as number `flight`.
  void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& table, std::span<const DeviceDraw> draws, int flight);
  /// Called by the first operation with an address that identifies the model and its memory. If
  /// true, the whole step is replayed and the operations have nothing to do.
  bool replays(const void* memory);
  /// Launches a recorded step; ends recording.
  void end();
  /// Ends a step that an exception interrupted, if there is one.
  void abandon();
  /// Abandons the step and drops all recordings. Must be called whenever memory is allocated:
  /// recordings are identified by addresses, which new memory may reuse.
  void forget();

  /// Kernels of a step may start before their predecessor has ended; they wait where they must.
  Stream stream() const { return {stream_, in_progress_ && switches_.pdl}; }
  bool replaying() const { return mode_ == Mode::kReplaying; }
  /// Whether every row belongs to a different sequence.
  bool decodes() const { return decodes_; }
  /// The number of a tensor's `rows` to compute, padding included.
  std::int64_t padded(std::int64_t rows) const { return recordable_ ? bucket(rows) : rows; }
  RowArrays arrays() const;
  const std::int32_t* output_rows() const { return device_ints() + 3 * rows_; }
  /// The last token drawn for each slot.
  std::int32_t* drawn() const { return static_cast<std::int32_t*>(drawn_.get()); }
  PageArray pages() const { return {device_ints() + pages_at(), table_.width}; }
  /// The number that begin() was given.
  const std::int32_t* flight() const { return device_ints() + 3 * rows_ + outputs_; }
  /// Options per output row; top_k is 0 for fillers.
  const DeviceDraw* draws() const {
    return reinterpret_cast<const DeviceDraw*>(device_ints() + draws_at());
  }
  std::int64_t output_count() const { return outputs_; }
  /// Greater than every row's position; a bucket.
  std::int64_t positions() const { return positions_; }
  /// Generated rows without a neighbour of the same sequence.
  const std::int32_t* singles() const { return device_ints() + singles_at(); }
  std::int64_t single_count() const { return static_cast<std::int64_t>(singles_.size()); }
  /// Groups of consecutive rows, without the singles.
  const RowGroup* groups() const;
  std::int64_t group_count() const { return static_cast<std::int64_t>(groups_.size()); }

 private:
  /// Rows and output rows, padding included, width of the page table, positions, whether tokens are
  /// drawn, memory.
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, const void*>;
  struct Recording {
    int seen = 0;  // steps so far
    cudaGraphExec_t graph = nullptr;
  };
  enum class Mode : std::uint8_t { kDirect, kRecording, kReplaying };
  static constexpr auto kInt = static_cast<std::int64_t>(sizeof(std::int32_t));
  static constexpr std::int64_t kGroupInts = sizeof(RowGroup) / kInt;
  static constexpr std::int64_t kDrawInts = sizeof(DeviceDraw) / kInt;
  static std::int64_t aligned(std::int64_t ints) { return (ints + 3) / 4 * 4; }

  void group(std::span<const Row> rows);
  void send(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
            std::span<const DeviceDraw> draws, int flight);
  /// Offsets in the ints that are sent. The Key determines those that a recorded step uses.
  std::int64_t draws_at() const { return aligned(3 * rows_ + outputs_ + 1); }
  std::int64_t pages_at() const { return draws_at() + (draws_ ? kDrawInts * outputs_ : 0); }
  std::int64_t groups_at() const {
    return aligned(pages_at() + static_cast<std::int64_t>(table_.pages.size()));
  }
  std::int64_t singles_at() const { return groups_at() + kGroupInts * group_count(); }
  std::int32_t* device_ints() const { return static_cast<std::int32_t*>(device_.get()); }

  cudaStream_t stream_;
  Switches switches_;
  // Tokens, slots, positions [rows] each, output rows, flight, draws, page table, groups, singles.
  Buffer host_, device_;
  std::int64_t capacity_ = 0;  // ints
  Buffer drawn_;               // [slots_], never sent
  std::int64_t slots_ = 0;
  cudaEvent_t sent_ = nullptr;
  PageTable table_;
  std::vector<RowGroup> groups_;
  std::vector<std::int32_t> singles_;
  bool in_progress_ = false;
  bool decodes_ = false;
  bool recordable_ = false;
  std::int64_t rows_ = 0;
  std::int64_t outputs_ = 0;
  std::int64_t positions_ = 0;
  bool draws_ = false;
  std::map<Key, Recording> recordings_;
  Recording* current_ = nullptr;
  Mode mode_ = Mode::kDirect;
};

}  // namespace aira::cuda
