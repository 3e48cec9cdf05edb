// From a regular expression to steps.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace aira {
namespace {

constexpr std::int32_t kMostCode = 10'000;  // steps; {n} copies what it repeats
constexpr int kDeepest = 50;                // nested groups
constexpr int kNoLimit = 1'000'000;

/// The bits of the general categories that begin with `name`, "L" or "Lu"; 0 for another name.
std::uint32_t categories_of(std::string_view name) {
  // In the order of utf8proc_category_t.
  constexpr std::string_view kNames =
      "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";
  std::uint32_t bits = 0;
  for (std::size_t i = 0; 2 * i < kNames.size(); ++i) {
    if (!name.empty() && kNames.substr(2 * i, 2).starts_with(name)) bits |= 1U << i;
  }
  return bits;
}

}  // namespace

class PatternParser {
 public:
  PatternParser(std::string_view regex, const std::string& where, Pattern& pattern)
      : text_(regex), where_(where), pattern_(pattern) {}

  void parse() {
    Part part = alternatives(0);
    if (!done()) refuse();
    if (part.may_be_empty) fail(message("it can match the empty text"));
    part.code.push_back({});
    pattern_.code_ = std::move(part.code);
  }

 private:
  using Op = Pattern::Op;
  struct Part {
    std::vector<Pattern::Step> code;
    bool may_be_empty = true;
  };

  [[noreturn]] void fail(const std::string& why) const {
    throw Error("[E341] {}: the regular expression {} is not supported: {}.",
                {where_, quote(text_, 300), why});
  }
  [[noreturn]] void refuse() const {
    fail(done() ? message("it ends too early")
                : message("this program does not know {}", {quote(text_.substr(at_, 12))}));
  }
  bool done() const { return at_ == text_.size(); }
  bool take(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }
  bool next_is(std::string_view one_of) const {
    return !done() && one_of.find(text_[at_]) != std::string_view::npos;
  }
  static std::int32_t size(const Part& part) { return static_cast<std::int32_t>(part.code.size()); }
  void append(Part& part, const Part& more) {
    if (size(part) + size(more) > kMostCode) fail(message("it is too long"));
    part.code.insert(part.code.end(), more.code.begin(), more.code.end());
    part.may_be_empty &= more.may_be_empty;
  }

  Part alternatives(int depth);
  Part sequence(int depth);
  Part atom(int depth);
  Part group(int depth);
  Part quantified(const Part& part);
  Part repeated(const Part& part, int least, int most, bool lazy);
  Pattern::LetterSet letter_class();
  void class_member(Pattern::LetterSet& set);
  /// Takes what a backslash introduces into `set`; a single letter is returned instead.
  std::optional<char32_t> escape(Pattern::LetterSet& set);
  Part one_of(Pattern::LetterSet set) {
    set.any_case = any_case_;
    pattern_.sets_.push_back(std::move(set));
    return {{{Op::kOne, static_cast<std::int32_t>(pattern_.sets_.size() - 1), 0}}, false};
  }
  int number();

  std::string_view text_;
  const std::string& where_;
  Pattern& pattern_;
  std::size_t at_ = 0;
  bool any_case_ = false;
};

PatternParser::Part PatternParser::alternatives(int depth) {
  if (depth > kDeepest) fail(message("its groups are nested too deep"));
  std::vector<Part> parts = {sequence(depth)};
  while (take("|")) parts.push_back(sequence(depth));
  Part all = std::move(parts.back());
  for (parts.pop_back(); !parts.empty(); parts.pop_back()) {
    const Part& first = parts.back();
    Part both{{{Op::kFork, 1, size(first) + 2}}, true};
    append(both, first);
    both.code.push_back({Op::kJump, size(all) + 1, 0});
    append(both, all);
    both.may_be_empty = first.may_be_empty || all.may_be_empty;
    all = std::move(both);
  }
  return all;
}

PatternParser::Part PatternParser::sequence(int depth) {
  Part all;
  while (!done() && !next_is("|)")) append(all, quantified(atom(depth)));
  return all;
}

PatternParser::Part PatternParser::atom(int depth) {
  if (take("(")) return group(depth);
  Pattern::LetterSet set;
  if (take("[")) return one_of(letter_class());
  if (take(".")) {
    set.spans = {{'\n', '\n'}};
    set.negated = true;
    return one_of(std::move(set));
  }
  if (next_is("*+?{}^$")) refuse();
  std::optional<char32_t> code;
  if (next_is("\\")) {
    code = escape(set);
    if (set.word || set.not_word) {  // outside a class it takes these for word letters as well
      set.spans = {{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}};
      set.negated = std::exchange(set.not_word, false);
      set.word = true;
    }
  } else {
    code = next_code_point(text_, at_);
  }
  if (code) set.spans = {{*code, *code}};
  return one_of(std::move(set));
}

/// Behind an opening bracket.
PatternParser::Part PatternParser::group(int depth) {
  const bool case_outside = any_case_;
  const bool look = take("?=");
  const bool look_not = !look && take("?!");
  if (take("?i:")) {
    any_case_ = true;
  } else if (!look && !look_not && !take("?:") && next_is("?")) {
    refuse();
  }
  Part inner = alternatives(depth + 1);
  if (!take(")")) refuse();
  any_case_ = case_outside;
  if (!look && !look_not) return inner;
  inner.code.push_back({});
  Part out{{{look ? Op::kLook : Op::kLookNot, size(inner) + 1, 0}}, true};
  append(out, inner);
  out.may_be_empty = true;
  return out;
}

int PatternParser::number() {
  int value = 0;
  if (!next_is("0123456789")) refuse();
  while (next_is("0123456789")) {
    value = 10 * value + (text_[at_++] - '0');
    if (value > 1000) fail(message("it repeats something more than 1,000 times"));
  }
  return value;
}

PatternParser::Part PatternParser::quantified(const Part& part) {
  int least = 0;
  int most = kNoLimit;
  const bool counted = next_is("{");
  if (take("+")) {
    least = 1;
  } else if (take("?")) {
    most = 1;
  } else if (take("{")) {
    least = most = number();
    if (take(",")) most = next_is("}") ? kNoLimit : number();
    if (!take("}") || most < least) refuse();
  } else if (!take("*")) {
    return part;
  }
  const bool lazy = !counted && take("?");
  const bool possessive = !counted && !lazy && take("+");
  if (next_is("*+?{")) refuse();
  if (part.may_be_empty) fail(message("it repeats what can match the empty text"));
  Part out = repeated(part, least, most, lazy);
  if (!possessive) return out;
  out.code.push_back({});
  Part atomic{{{Op::kAtomic, size(out) + 1, 0}}, true};
  append(atomic, out);
  return atomic;
}

PatternParser::Part PatternParser::repeated(const Part& part, int least, int most, bool lazy) {
  Part out;
  for (int i = 0; i < least; ++i) append(out, part);
  const auto fork = [&](std::int32_t enter, std::int32_t leave) {
    return lazy ? Pattern::Step{Op::kFork, leave, enter} : Pattern::Step{Op::kFork, enter, leave};
  };
  Part more;
  if (most != kNoLimit) {
    for (int i = least; i < most; ++i) {
      more.code.push_back(fork(1, size(part) + 1));
      append(more, part);
    }
  } else if (!lazy && part.code.size() == 1) {
    more.code.push_back({Op::kRun, part.code[0].x, 0});
  } else {
    more.code.push_back(fork(1, size(part) + 2));
    append(more, part);
    more.code.push_back({Op::kJump, -size(part) - 1, 0});
  }
  more.may_be_empty = true;
  append(out, more);
  return out;
}

std::optional<char32_t> PatternParser::escape(Pattern::LetterSet& set) {
  const std::size_t begin = at_++;
  if (done()) refuse();
  const char letter = text_[at_++];
  constexpr std::string_view kControls = "nrtfv";
  if (const std::size_t which = kControls.find(letter); which != std::string_view::npos)
    return static_cast<char32_t>("\n\r\t\f\v"[which]);
  if (letter == 's') set.space = true;
  if (letter == 'S') set.not_space = true;
  if (letter == 'w') set.word = true;
  if (letter == 'W') set.not_word = true;
  if (letter == 'd') set.categories |= categories_of("Nd");
  if (letter == 'D') set.categories |= ~categories_of("Nd");
  if (std::string_view("sSwWdD").find(letter) != std::string_view::npos) return std::nullopt;
  if ((letter == 'p' || letter == 'P') && take("{")) {
    const bool negated = take("^") != (letter == 'P');
    const std::size_t end = std::min(text_.find('}', at_), text_.size());
    const std::uint32_t bits = categories_of(text_.substr(at_, end - at_));
    if (bits != 0 && end < text_.size()) {
      at_ = end + 1;
      set.categories |= negated ? ~bits : bits;
      return std::nullopt;
    }
  }
  const auto code = static_cast<unsigned char>(letter);
  if (code < 0x80 && char_class(code) == CharClass::kOther) return code;
  at_ = begin;
  refuse();
}

/// Behind an opening square bracket.
Pattern::LetterSet PatternParser::letter_class() {
  Pattern::LetterSet set;
  set.negated = take("^");
  if (next_is("]")) refuse();
  while (!take("]")) {
    if (done() || next_is("[") || text_.substr(at_).starts_with("&&")) refuse();
    class_member(set);
  }
  return set;
}

void PatternParser::class_member(Pattern::LetterSet& set) {
  const auto letter = [&] {
    return next_is("\\") ? escape(set) : std::optional(next_code_point(text_, at_));
  };
  const std::optional<char32_t> first = letter();
  if (!first) return;
  std::optional<char32_t> last = first;
  const std::size_t dash = at_;
  if (take("-")) {
    if (next_is("]")) {
      at_ = dash;  // a dash at the end is itself
    } else {
      last = letter();
    }
  }
  if (!last || *last < *first) {
    at_ = dash;
    refuse();
  }
  set.spans.push_back({*first, *last});
}

Pattern::Pattern(std::string_view regex, const std::string& where) {
  PatternParser(regex, where, *this).parse();
}

}  // namespace aira
