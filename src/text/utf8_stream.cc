#include "aira/tokenizer.h"
#include "text/utf8.h"

namespace aira {

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  std::string letters;
  held_.erase(0, append_whole_letters(held_, letters));
  return letters;
}

std::string Utf8Stream::finish() {
  const bool unfinished = !held_.empty();
  held_.clear();
  return unfinished ? std::string(kReplacement) : std::string();
}

}  // namespace aira
