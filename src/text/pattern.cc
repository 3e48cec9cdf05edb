// The steps of a pattern, run with backtracking: that is what gives alternatives and quantifiers
// their order.
#include "text/pattern.h"

#include <utf8proc.h>

#include <optional>

#include "aira/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

/// Oniguruma's \w, which differs from the one that added tokens use.
bool is_regex_word(char32_t code) { return is_word_char(code) && code != 0x200C && code != 0x200D; }

char32_t lower(char32_t code) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

char32_t upper(char32_t code) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code)));
}

}  // namespace

bool Pattern::LetterSet::lists(char32_t code) const {
  for (const Span& span : spans) {
    if (code >= span.first && code <= span.last) return true;
  }
  if (categories != 0 && (categories >> general_category(code) & 1U) != 0) return true;
  if ((space && is_space(code)) || (not_space && !is_space(code))) return true;
  return (word && is_regex_word(code)) || (not_word && !is_regex_word(code));
}

bool Pattern::LetterSet::has(char32_t code) const {
  bool listed = lists(code);
  if (any_case && !listed) {
    const char32_t folded = lower(upper(code));  // of U+017F: s
    listed = lists(folded) || lists(upper(folded));
  }
  return listed != negated;
}

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at);
    pattern.code_.push_back({Op::kOne, static_cast<std::int32_t>(pattern.sets_.size()), 0});
    pattern.sets_.emplace_back().spans = {{code, code}};
  }
  pattern.code_.push_back({});
  return pattern;
}

/// One search in a text: what is left to try, and how long it may take.
struct Pattern::Search {
  /// The end of the match of the code at `step`, at byte `at`.
  std::optional<std::size_t> match(std::size_t step, std::size_t at);

  bool one(std::int32_t set, std::size_t& at) const {
    std::size_t next = at;
    if (at == text.size()) return false;
    if (!pattern.sets_[static_cast<std::size_t>(set)].has(next_code_point(text, next)))
      return false;
    at = next;
    return true;
  }

  void count() {
    if (steps_left-- > 0) return;
    throw Error("[E340] A regular expression of the tokenizer takes too long to search this text.");
  }

  struct Branch {
    std::size_t step, at;
    std::size_t least;  // of a run: it may end anywhere from here to `at`
  };
  const Pattern& pattern;
  std::string_view text;
  std::size_t steps_left;
  std::vector<Branch> branches = {};
};

std::optional<std::size_t> Pattern::Search::match(std::size_t step, std::size_t at) {
  const std::size_t bottom = branches.size();
  for (;;) {
    count();
    const Step& now = pattern.code_[step];
    const auto to = [&](std::int32_t distance) {
      return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(step) + distance);
    };
    bool fits = true;
    std::size_t next = step + 1;
    switch (now.op) {
      case Op::kOne:
        fits = one(now.x, at);
        break;
      case Op::kRun: {
        const std::size_t begin = at;
        while (one(now.x, at)) count();
        if (at > begin) branches.push_back({next, at, begin});
        break;
      }
      case Op::kFork:
        branches.push_back({to(now.y), at, at});
        next = to(now.x);
        break;
      case Op::kJump:
        next = to(now.x);
        break;
      case Op::kLook:
      case Op::kLookNot:
        fits = match(next, at).has_value() == (now.op == Op::kLook);
        next = to(now.x);
        break;
      case Op::kAtomic: {
        const auto end = match(next, at);
        fits = end.has_value();
        at = end.value_or(at);
        next = to(now.x);
        break;
      }
      case Op::kEnd:
        branches.resize(bottom);
        return at;
    }
    if (!fits) {
      if (branches.size() == bottom) return std::nullopt;
      Branch& last = branches.back();
      if (last.at > last.least) previous_code_point(text, last.at);
      next = last.step;
      at = last.at;
      if (last.at == last.least) branches.pop_back();
    }
    step = next;
  }
}

std::vector<Pattern::Range> Pattern::find_all(std::string_view text) const {
  constexpr std::size_t kStepsPerLetter = 300;
  Search search{*this, text, 1'000'000 + kStepsPerLetter * text.size()};
  std::vector<Range> matches;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto end = search.match(0, at)) {
      matches.emplace_back(at, *end);
      at = *end;
    } else {
      next_code_point(text, at);
    }
  }
  return matches;
}

}  // namespace aira
