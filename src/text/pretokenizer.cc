#include "text/pretokenizer.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

/// The end of the run of `wanted` that begins at `at`; `last` gets where its last letter begins.
std::size_t run_end(std::string_view valid, std::size_t at, CharClass wanted, std::size_t& last) {
  for (std::size_t next = at; at < valid.size(); at = next) {
    if (char_class(next_code_point(valid, next)) != wanted) break;
    last = at;
  }
  return at;
}

}  // namespace

std::size_t piece_length(std::string_view valid) {
  for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (valid[0] == '\'' && valid.starts_with(contraction)) return contraction.size();
  }
  std::size_t begin = valid[0] == ' ' && valid.size() > 1 ? 1 : 0;
  std::size_t next = begin;
  const CharClass kind = char_class(next_code_point(valid, next));
  if (kind == CharClass::kSpace) begin = 0;
  std::size_t last = 0;
  const std::size_t end = run_end(valid, begin, kind, last);
  if (kind != CharClass::kSpace || end == valid.size()) return end;
  // White space before a word: its last letter is left to the word, unless it is all there is.
  return last > 0 ? last : end;
}

}  // namespace aira
