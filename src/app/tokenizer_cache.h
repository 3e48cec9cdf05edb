// A tokenizer's tables, kept in a packed file between runs like the weights (model/weight_cache.h).
#pragma once

#include <functional>
#include <string>

#include "aira/model_files.h"
#include "aira/tokenizer.h"

namespace aira {

class TokenizerCache {
 public:
  /// `folder`: where packed files are kept; empty: none. `files` must outlive this.
  TokenizerCache(const std::string& folder, const ModelFiles& files);

  /// Tokenizer::load, from the packed file if that is there and made of these very files.
  Tokenizer load();
  /// Writes the packed file unless load() took it; never throws. `go_on` as in PackedFile::write.
  void keep(const Tokenizer& tokenizer, const std::function<bool()>& go_on) const;

 private:
  const ModelFiles& files_;
  std::string path_;
  std::string key_;
  bool hit_ = false;
};

}  // namespace aira
