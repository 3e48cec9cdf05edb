#include "app/tokenizer_cache.h"

#include <array>
#include <exception>
#include <optional>

#include "model/packed_file.h"
#include "text/tokenizer_image.h"

namespace aira {
namespace {

constexpr const char* kPart = "tokenizer";

}  // namespace

TokenizerCache::TokenizerCache(const std::string& folder, const ModelFiles& files) : files_(files) {
  if (folder.empty()) return;
  const std::string fingerprint = files.fingerprint({".json", "merges.txt"});
  if (fingerprint.empty()) return;
  path_ = packed_path(folder, files.place(), kPart);
  key_ = "tokenizer " + std::to_string(kTokenizerImage) + "\n" + fingerprint;
}

Tokenizer TokenizerCache::load() {
  if (!path_.empty()) {
    const std::optional<PackedFile> file = PackedFile::open(path_, key_);
    std::optional<Tokenizer> kept;
    if (file) kept = Tokenizer::from_image(file->text(kPart));
    hit_ = kept.has_value();
    if (hit_) return *std::move(kept);
  }
  return Tokenizer::load(files_);
}

void TokenizerCache::keep(const Tokenizer& tokenizer, const std::function<bool()>& go_on) const {
  if (path_.empty() || hit_) return;
  try {
    const std::string image = tokenizer.image();
    const std::array<PackedFile::Part, 1> parts = {{{kPart, image}}};
    PackedFile::write(path_, key_, parts, go_on);
  } catch (const std::exception&) {  // no memory for it: then without
    return;
  }
}

}  // namespace aira
