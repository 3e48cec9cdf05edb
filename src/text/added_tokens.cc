#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_char(previous_code_point(text, begin))) return true;
  return end < text.size() && is_word_char(next_code_point(text, end));
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer& normalizer) {
  for (AddedToken token : tokens) {
    if (token.normalized && !normalizer.empty()) token.content = normalizer(token.content);
    if (token.content.empty()) continue;
    Index& index = token.normalized ? normalized_ : raw_;
    (token.normalized ? any_normalized_ : any_raw_) = true;
    index[static_cast<unsigned char>(token.content.front())].push_back(std::move(token));
  }
  const auto longer = [](const AddedToken& a, const AddedToken& b) {
    return a.content.size() > b.content.size();
  };
  for (Index* index : {&raw_, &normalized_}) {
    for (auto& same_byte : *index) std::stable_sort(same_byte.begin(), same_byte.end(), longer);
  }
}

bool AddedTokens::touches(Typed typed, std::string_view part) {
  return std::any_of(typed.begin(), typed.end(), [&](std::string_view one) {
    return one.data() < part.data() + part.size() && part.data() < one.data() + one.size();
  });
}

std::vector<Segment> AddedTokens::split(std::string_view text, bool normalized, Typed typed) const {
  const Index& index = normalized ? normalized_ : raw_;
  std::vector<Segment> out;
  if (!text.empty() && !(normalized ? any_normalized_ : any_raw_)) out.push_back({text, -1});
  if (!out.empty()) return out;
  std::size_t done = 0;                    // what precedes it is in `out`
  std::size_t run_begin = 0, run_end = 0;  // white space that an rstrip token took last
  for (std::size_t at = 0; at < text.size();) {
    const auto& candidates = index[static_cast<unsigned char>(text[at])];
    const auto token =
        std::find_if(candidates.begin(), candidates.end(), [&](const AddedToken& candidate) {
          return text.substr(at).starts_with(candidate.content);
        });
    if (token == candidates.end()) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at += token->content.size();
    if (token->special && touches(typed, text.substr(begin, end - begin))) continue;
    if (token->single_word && touches_word(text, begin, end)) continue;
    if (token->lstrip) begin = std::max(done, space_begin(text, begin, done));
    if (token->rstrip) {
      if (end < run_begin || end > run_end) {
        run_begin = end;
        run_end = space_end(text, end);
      }
      end = run_end;
    }
    // Nothing is left of it when an rstrip token before it took all: dropped, as in `tokenizers`.
    if (begin >= end) continue;
    if (done < begin) out.push_back({text.substr(done, begin - done), -1});
    out.push_back({{}, token->id});
    // Not max(done, end): a token found inside white space that was taken already gives back the
    // white space behind it, as in `tokenizers`.
    done = end;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
  return out;
}

}  // namespace aira
