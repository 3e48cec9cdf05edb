#include "text/vocabulary_json.h"

#include "aira/error.h"
#include "base/printable.h"

namespace aira {

TokenList read_token_list(JsonScanner& scanner, const std::string& where) {
  TokenList tokens;
  std::string token;
  scanner.object([&](std::string_view key) {
    token = key;
    const auto id = scanner.integer();
    if (!id) throw Error(where + ": the id of token " + quote(token) + " is not a whole number.");
    tokens.add(token, *id);
  });
  return tokens;
}

void add_merge(std::string_view line, const std::string& where, MergeList& merges) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    throw Error(where + " is " + quote(line) + "; expected two tokens with one space between.");
  }
  merges.add(line.substr(0, space), line.substr(space + 1));
}

MergeList read_merge_list(JsonScanner& scanner, const std::string& where) {
  MergeList merges;
  std::string pair[2];
  scanner.list([&] {
    const auto place = [&] {
      return where + ": merge " + std::to_string(merges.entries.size() + 1);
    };
    const char next = scanner.peek();
    if (next == '"') {
      const std::string_view line = scanner.string();
      if (!line.starts_with("#version")) add_merge(line, place(), merges);
      return;
    }
    if (next != '[') throw Error(place() + " is neither a string nor a pair of strings.");
    std::size_t count = 0;
    scanner.list([&] {
      if (scanner.peek() != '"' || count == 2) throw Error(place() + " is not a pair of strings.");
      pair[count++] = scanner.string();
    });
    if (count != 2) throw Error(place() + " is not a pair of strings.");
    merges.add(pair[0], pair[1]);
  });
  return merges;
}

}  // namespace aira
