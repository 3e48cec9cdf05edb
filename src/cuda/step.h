// One step's rows on the device, and the recording of decode steps as CUDA graphs.
//
// A decode step (one row for each sequence) launches the same kernels with the same arguments each
// time: what changes, ids, slots, positions and pages, lies in device memory. So the second step of
// a size is recorded and later ones are replayed by a single launch. Sizes are rounded up to
// buckets, the rest filled with rows that touch nothing.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "cuda/device_memory.h"
#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

class Step {
 public:
  /// Rows of a recorded step at most; more are a step of their own each time.
  static constexpr std::int64_t kMostRecorded = 512;
  /// The bucket of `rows`: the next power of two, as far as steps are recorded.
  static std::int64_t bucket(std::int64_t rows);

  explicit Step(cudaStream_t stream);
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Sends rows, wanted indices and the table of pages to the device.
  void begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
             const PageTable& table);
  /// To be asked by the first operation, with something that names the model and its memory: true
  /// when the whole step is replayed, so that no operation has anything to do.
  bool replays(const void* memory);
  /// Drops all recordings. To be called between steps when memory is handed out: it may have been
  /// freed by the model or session that a recording was made for, and a new one's is told by its
  /// address.
  void forget();
  /// Launches a recorded step; ends recording.
  void end();

  /// Whether each row is of a sequence of its own.
  bool decodes() const { return decodes_; }
  /// Rows to compute, fillers included.
  std::int64_t rows() const { return rows_; }
  std::int64_t wanted() const { return wanted_; }
  RowArrays arrays() const;
  const std::int32_t* wanted_array() const { return device_ints() + 3 * rows_; }
  /// The token drawn last for each slot.
  std::int32_t* drawn() const { return static_cast<std::int32_t*>(drawn_.get()); }
  PageArray pages() const { return {device_ints() + pages_at(), table_.width}; }
  /// Groups of consecutive rows; steps that do not decode only.
  const RowGroup* groups() const;
  std::int64_t group_count() const { return static_cast<std::int64_t>(groups_.size()); }

 private:
  /// Bucket of rows, bucket of wanted rows, width of the table of pages, memory.
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, const void*>;
  struct Recording {
    int seen = 0;  // steps so far
    cudaGraphExec_t graph = nullptr;
  };
  enum class Mode : std::uint8_t { kDirect, kRecording, kReplaying };

  void group(std::span<const Row> rows);
  void send(std::span<const Row> rows, std::span<const std::int32_t> wanted);
  void make_room(std::int64_t ints);
  void abandon();
  /// Where things lie in the ints that are sent; in recorded steps, where the table begins is given
  /// by the Key.
  std::int64_t pages_at() const { return 3 * rows_ + wanted_; }
  std::int64_t groups_at() const {
    return (pages_at() + static_cast<std::int64_t>(table_.pages.size()) + 3) / 4 * 4;
  }
  std::int32_t* device_ints() const { return static_cast<std::int32_t*>(device_.get()); }

  cudaStream_t stream_;
  Buffer host_, device_;  // tokens, slots, positions [rows] each, wanted, table of pages, groups
  std::int64_t capacity_ = 0;  // ints
  Buffer drawn_;               // [slots], never sent
  std::int64_t slots_ = 0;     // that drawn_ has room for
  cudaEvent_t sent_ = nullptr;
  PageTable table_;
  std::vector<RowGroup> groups_;
  bool decodes_ = false;
  std::int64_t rows_ = 0;
  std::int64_t wanted_ = 0;
  std::map<Key, Recording> recordings_;
  Recording* current_ = nullptr;
  Mode mode_ = Mode::kDirect;
};

}  // namespace aira::cuda
