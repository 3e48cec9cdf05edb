#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

/// Where the white space that ends at `at` begins, not before `limit`.
std::size_t space_begin(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    std::size_t before = at - 1;
    while (before > 0 && (static_cast<unsigned char>(text[before]) & 0xC0U) == 0x80U) --before;
    if (!is_space(code_point_before(text, at))) break;
    at = before;
  }
  return at;
}

std::size_t space_end(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_space(next_code_point(text, next))) break;
    at = next;
  }
  return at;
}

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_char(code_point_before(text, begin))) return true;
  return end < text.size() && is_word_char(next_code_point(text, end));
}

}  // namespace

void AddedTokens::Matcher::add(std::string_view content, std::size_t index) {
  entries_.push_back({std::string(content), index});
  begins_[static_cast<unsigned char>(content.front())] = true;
}

void AddedTokens::Matcher::finish() {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.content < b.content; });
}

const AddedTokens::Matcher::Entry* AddedTokens::Matcher::longest(std::string_view text) const {
  // first..last are the tokens that share their first `depth` bytes with the text.
  const Entry* found = nullptr;
  auto first = entries_.begin();
  auto last = entries_.end();
  for (std::size_t depth = 0; depth < text.size(); ++depth) {
    const auto byte_at = [depth](const Entry& entry) {
      return static_cast<unsigned char>(entry.content[depth]);
    };
    const auto byte = static_cast<unsigned char>(text[depth]);
    first = std::partition_point(first, last, [&](const Entry& e) { return byte_at(e) < byte; });
    last = std::partition_point(first, last, [&](const Entry& e) { return byte_at(e) == byte; });
    if (first == last) break;
    if (first->content.size() == depth + 1) found = &*first++;
  }
  return found;
}

bool AddedTokens::Matcher::find(std::string_view text, std::size_t from, Match& match) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!begins_[static_cast<unsigned char>(text[at])]) continue;
    if (const Entry* entry = longest(text.substr(at)); entry != nullptr) {
      match = {at, at + entry->content.size(), entry->index};
      return true;
    }
  }
  return false;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    (tokens_[i].normalized ? normalized_ : raw_).add(tokens_[i].content, i);
  }
  raw_.finish();
  normalized_.finish();
}

std::vector<Segment> AddedTokens::split(std::string_view valid, bool plain) const {
  std::vector<Segment> segments;
  split(raw_, valid, plain, segments);
  if (normalized_.empty()) return segments;
  std::vector<Segment> finer;
  for (const Segment& segment : segments) {
    if (segment.id >= 0) {
      finer.push_back(segment);
    } else {
      split(normalized_, segment.text, plain, finer);
    }
  }
  return finer;
}

void AddedTokens::split(const Matcher& matcher, std::string_view text, bool plain,
                        std::vector<Segment>& out) const {
  std::size_t done = 0;                    // what precedes it is in `out`
  std::size_t run_begin = 0, run_end = 0;  // white space that an rstrip token took last
  Matcher::Match match{};
  for (std::size_t from = 0; matcher.find(text, from, match); from = match.end) {
    const AddedToken& token = tokens_[match.index];
    if (plain && token.special) continue;
    if (token.single_word && touches_word(text, match.begin, match.end)) continue;
    std::size_t begin = match.begin;
    std::size_t end = match.end;
    if (token.lstrip) begin = std::max(done, space_begin(text, begin, done));
    if (token.rstrip) {
      if (end < run_begin || end > run_end) {
        run_begin = end;
        run_end = space_end(text, end);
      }
      end = run_end;
    }
    // Nothing is left of it when an rstrip token before it took all: dropped, as in `tokenizers`.
    if (begin >= end) continue;
    if (done < begin) out.push_back({text.substr(done, begin - done), -1});
    out.push_back({{}, token.id});
    // Not max(done, end): a token found inside white space that was taken already gives back the
    // white space behind it, as in `tokenizers`.
    done = end;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
}

}  // namespace aira
