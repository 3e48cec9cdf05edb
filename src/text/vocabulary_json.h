// The two long lists of a tokenizer, {"token": id, ...} and its merges, as both file layouts write
// them.
#pragma once

#include <string>
#include <string_view>

#include "text/bpe.h"
#include "text/json_scanner.h"
#include "text/vocabulary.h"

namespace aira {

/// Reads the object that is next in `scanner`. Throws Error that begins with `where`.
TokenList read_token_list(JsonScanner& scanner, const std::string& where);

/// Reads the list that is next: "a b" or ["a", "b"] each. Throws Error that begins with `where`.
MergeList read_merge_list(JsonScanner& scanner, const std::string& where);

/// Adds "a b". Throws Error that begins with `where` when `line` is not two tokens.
void add_merge(std::string_view line, const std::string& where, MergeList& merges);

}  // namespace aira
