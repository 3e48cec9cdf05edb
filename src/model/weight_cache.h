// A model's weights in the backend's own order, kept in a file between runs: the first run converts
// the checkpoint and writes the file, later ones map it. A missing, stale, damaged or foreign file
// is never an error: the checkpoint is converted again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "model/model.h"

namespace aira {

/// Bytes of a model's packed weights: of all, and of the matrices, all of which a step reads.
struct PackedSize {
  std::int64_t all = 0;
  std::int64_t step = 0;
};
PackedSize packed_size(const ModelConfig& config, bool own_head, const Packing& packing,
                       DType dtype);

class WeightCache {
 public:
  /// `folder`: where packed files are kept; empty: nowhere. The references must outlive this.
  WeightCache(const std::string& folder, const ModelFiles& files, Backend& backend, DType dtype);

  /// The model, from the packed file if that was made of these files, else by Model::load, which
  /// throws Error and may have something to say.
  Model load(const Notice& notice = {});
  /// Whether load() took the packed file.
  bool hit() const { return hit_; }
  /// Writes the packed file, replacing an older one of the same model, unless load() took it.
  /// Returns why it could not ("No space left on device"), or nothing. `go_on` is asked every few
  /// MB; when it says false, nothing is left behind. Only reads, so another thread may call it
  /// after load() while the model is in use; backend and files must stay.
  std::string keep(const Model& model, const std::function<bool()>& go_on) const;
  /// Leaves behind, for was_given_up(), that keep() took too long and was not let finish.
  void remember_given_up() const;
  /// Whether an earlier process did, of these files, and no keep() has ended since.
  bool was_given_up() const;
  /// Whether the packed file is there and was made of these files.
  bool is_current() const;
  /// Whether it has the very bytes that keep() would write for `model`. Throws Error when it cannot
  /// be read.
  bool holds(const Model& model) const;
  /// The packed file, there or not; empty when none is kept.
  const std::string& path() const { return path_; }

 private:
  std::optional<Model> take() const;
  std::string heading_of_files_now() const;
  /// The packed file, opened; -1 when there is none that can be trusted.
  Descriptor open() const;
  /// The size of the open packed file, if its heading is right.
  std::optional<std::size_t> size_of_current(int fd) const;
  /// The parameters' bytes, which are the model's own memory.
  std::vector<std::string_view> parts_of(const Model& model) const;
  /// What keep() writes: heading, parts, trailer.
  std::vector<std::string_view> pieces_of(const Model& model, std::string& trailer) const;

  const ModelFiles& files_;
  Backend& backend_;
  DType dtype_;
  std::string folder_;
  std::string name_;
  std::string path_;
  std::string heading_;  // how the packed file must begin
  bool hit_ = false;
};

}  // namespace aira
