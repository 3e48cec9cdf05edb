// The regular expressions in tokenizer.json, as Oniguruma inside `tokenizers` reads them: literals,
// classes, groups, alternatives, look-ahead and quantifiers, which is what pre-tokenizers are made
// of. A regular expression library has other Unicode tables and another syntax, and would split
// some texts in other places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aira {

class Pattern {
 public:
  /// [begin, end) in bytes, never empty.
  using Range = std::pair<std::size_t, std::size_t>;

  /// Throws Error that begins with `where` and quotes what is not supported. A pattern that matches
  /// the empty text is not.
  Pattern(std::string_view regex, const std::string& where);
  /// Matches `text`, which is not empty, itself.
  static Pattern literal(std::string_view text);

  /// All matches in valid UTF-8, in order, none overlapping another. Throws Error when it takes too
  /// long, as nested quantifiers can: each letter of the text may cost so and so many steps.
  std::vector<Range> find_all(std::string_view text) const;

 private:
  friend class PatternParser;

  enum class Op : std::uint8_t {
    kOne,      // one letter of set `x`
    kRun,      // as many letters of set `x` as there are, then fewer
    kFork,     // on to `x`, and if that fails to `y`
    kJump,     // to `x`
    kLook,     // what follows up to kEnd must match here; then to `x`
    kLookNot,  // must not
    kAtomic,   // must match, and is then never tried in another way; then to `x`
    kEnd,
  };
  /// Places are relative to the step itself, so that code can be copied.
  struct Step {
    Op op = Op::kEnd;
    std::int32_t x = 0;
    std::int32_t y = 0;
  };
  struct Span {
    char32_t first, last;
  };
  struct LetterSet {
    bool has(char32_t code) const;
    bool lists(char32_t code) const;

    std::vector<Span> spans;
    std::uint32_t categories = 0;  // bit per general category
    bool space = false, word = false, not_space = false, not_word = false;
    bool any_case = false, negated = false;
  };
  struct Search;

  Pattern() = default;

  std::vector<Step> code_;
  std::vector<LetterSet> sets_;
};

}  // namespace aira
