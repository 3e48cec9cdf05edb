// What a tokenizer does to a text before anything else: the normalizers of `tokenizers`, one after
// the other.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace aira {

class Normalizer {
 public:
  Normalizer() = default;
  /// `components` as in a tokenizer.json, without "Sequence". Throws Error that begins with `where`
  /// and names what is not supported.
  Normalizer(const std::vector<const nlohmann::json*>& components, const std::string& where);

  bool empty() const { return steps_.empty(); }
  /// Takes and returns valid UTF-8.
  std::string operator()(std::string_view text) const;

 private:
  std::vector<std::function<std::string(std::string_view)>> steps_;
};

}  // namespace aira
