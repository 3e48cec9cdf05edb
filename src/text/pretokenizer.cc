#include "text/pretokenizer.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

/// The length of the contraction that `text` begins with, or 0.
std::size_t contraction(std::string_view text) {
  for (const std::string_view one : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.substr(0, one.size()) == one) return one.size();
  }
  return 0;
}

/// The end of the run of `wanted` that begins at `at`; `last` gets where its last letter begins.
std::size_t run_end(std::string_view valid, std::size_t at, CharClass wanted, std::size_t& last) {
  while (at < valid.size()) {
    std::size_t next = at;
    if (char_class(next_code_point(valid, next)) != wanted) break;
    last = at;
    at = next;
  }
  return at;
}

}  // namespace

std::size_t piece_end(std::string_view valid, std::size_t at) {
  if (valid[at] == '\'') {
    if (const std::size_t length = contraction(valid.substr(at)); length > 0) return at + length;
  }
  std::size_t last = at;
  if (valid[at] == ' ' && at + 1 < valid.size()) {
    std::size_t next = at + 1;
    const CharClass kind = char_class(next_code_point(valid, next));
    if (kind != CharClass::kSpace) return run_end(valid, next, kind, last);
  }
  std::size_t next = at;
  const CharClass kind = char_class(next_code_point(valid, next));
  const std::size_t end = run_end(valid, next, kind, last);
  if (kind != CharClass::kSpace || end == valid.size()) return end;
  // White space before a word: its last letter is left to the word, unless it is all there is.
  return last > at ? last : end;
}

}  // namespace aira
