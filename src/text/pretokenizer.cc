#include "text/pretokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/tokenizer_files.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

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

/// Pre-tokenizers that are a Split by another name. Rust's \w, which Whitespace uses, is spelt out:
/// Oniguruma's is another.
constexpr const char* kDigits = "\\p{N}";
constexpr const char* kSpaces = "\\s";
constexpr const char* kPunctuation = "[!-/:-@\\[-`{-~\\p{P}]";
constexpr const char* kWordsOrSymbols =
    "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\u200C\u200D\u24B6-\u24E9\U0001F130-\U0001F149"
    "\U0001F150-\U0001F169\U0001F170-\U0001F189]+"
    "|[^\\s\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\u200C\u200D\u24B6-\u24E9\U0001F130-\U0001F149"
    "\U0001F150-\U0001F169\U0001F170-\U0001F189]+";

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

PreTokenizer::PreTokenizer(const std::vector<const nlohmann::json*>& components,
                           const std::string& where) {
  for (const nlohmann::json* component : components) {
    steps_.push_back(make_step(*component, where));
  }
}

bool PreTokenizer::keeps_all() const {
  bool any_bytes = false;
  for (const Step& step : steps_) {
    const auto* split = std::get_if<Split>(&step);
    if (split != nullptr && split->matches == Matches::kRemoved) return false;
    any_bytes |= split == nullptr;
  }
  return any_bytes;
}

PreTokenizer::Step PreTokenizer::make_step(const nlohmann::json& component,
                                           const std::string& where) {
  const JsonObject settings(component, where + ": \"pre_tokenizer\"");
  const std::string type = settings.text("type").value_or("");
  if (type == "ByteLevel") {
    return ByteLevel{settings.boolean("add_prefix_space").value_or(true),
                     settings.boolean("use_regex").value_or(true)};
  }
  const auto behavior = [&] {
    constexpr std::array kNames = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                   "MergedWithNext"};  // in the order of Matches
    const std::string name = settings.text("behavior").value_or("Isolated");
    const auto* found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) {
      throw Error("[E351] {}: {} is {}, which is not supported.",
                  {where, "\"behavior\"", quote(name)});
    }
    return static_cast<Matches>(found - kNames.begin());
  };
  if (type == "Split") {
    return Split{read_pattern(settings, where), behavior(),
                 settings.boolean("invert").value_or(false)};
  }
  if (type == "Digits") {
    const bool each = settings.boolean("individual_digits").value_or(false);
    return Split{{kDigits, where}, each ? Matches::kIsolated : Matches::kContiguous, false};
  }
  if (type == "Punctuation") return Split{{kPunctuation, where}, behavior(), false};
  if (type == "WhitespaceSplit") return Split{{kSpaces, where}, Matches::kRemoved, false};
  if (type == "Whitespace") return Split{{kWordsOrSymbols, where}, Matches::kRemoved, true};
  throw Error("[E352] {}: the pre-tokenizer {} is not supported.", {where, quote(type)});
}

void PreTokenizer::split(std::size_t step, std::string_view text, const Visit& visit) const {
  if (step == steps_.size()) return visit(text);
  if (const auto* pattern = std::get_if<Split>(&steps_[step])) {
    for (const std::string_view piece : cut(*pattern, text)) split(step + 1, piece, visit);
    return;
  }
  const ByteLevel& bytes = std::get<ByteLevel>(steps_[step]);
  std::string with_space;
  if (bytes.add_prefix_space && text.front() != ' ') text = with_space.append(" ").append(text);
  while (!text.empty()) {
    const std::size_t end = bytes.use_regex ? piece_length(text) : text.size();
    split(step + 1, letters_of(text.substr(0, end)), visit);
    text.remove_prefix(end);
  }
}

std::vector<std::string_view> PreTokenizer::cut(const Split& split, std::string_view text) {
  struct Part {
    std::size_t begin, end;
    bool match;
  };
  std::vector<Part> parts;
  std::size_t done = 0;
  for (const auto& [begin, end] : split.pattern.find_all(text)) {
    if (begin > done) parts.push_back({done, begin, split.invert});
    parts.push_back({begin, end, !split.invert});
    done = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), split.invert});

  const bool backwards = split.matches == Matches::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  std::vector<Part> merged;
  bool after_match = false;
  for (const Part& part : parts) {
    const bool joins = split.matches == Matches::kContiguous ? part.match == after_match
                                                             : part.match && !after_match;
    after_match = part.match;
    if (split.matches == Matches::kRemoved && part.match) continue;
    if (split.matches <= Matches::kRemoved || !joins || merged.empty()) {
      merged.push_back(part);
    } else {
      (backwards ? merged.back().begin : merged.back().end) = backwards ? part.begin : part.end;
    }
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  std::vector<std::string_view> pieces;
  for (const Part& part : merged) pieces.push_back(text.substr(part.begin, part.end - part.begin));
  return pieces;
}

}  // namespace aira
