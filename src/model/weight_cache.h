// A model's weights as the backend orders them, kept in a file between runs (packed_file.h): the
// first run converts the checkpoint and leaves the file, later ones map it. Nothing here is ever an
// error: without a good file the checkpoint is converted, and a file that cannot be written is not.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "model/model.h"

namespace aira {

class WeightCache {
 public:
  /// `folder`: where packed files are kept; empty: none. `files` and `backend` must outlive this.
  WeightCache(const std::string& folder, const ModelFiles& files, Backend& backend, DType dtype);

  /// Model::load, from the packed file if that is there and made of these very files. Throws Error.
  Model load();
  /// Whether load() took the packed file.
  bool hit() const { return hit_; }
  /// Writes the packed file, replacing an older one of the same model, unless load() took it or
  /// nothing is to be kept. Returns why it is not there now, empty when it is or need not be.
  /// `go_on` as in PackedFile::write.
  std::string keep(const Model& model, const std::function<bool()>& go_on) const;
  /// The packed file, there or not; empty when none is kept.
  const std::string& path() const { return path_; }

 private:
  std::optional<Model> take() const;

  const ModelFiles& files_;
  Backend& backend_;
  DType dtype_;
  std::string path_;
  std::string key_;
  bool hit_ = false;
};

}  // namespace aira
