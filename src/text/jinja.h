// Jinja as far as chat templates of GPT-2 models use it, rendered as transformers does
// (trim_blocks, lstrip_blocks). Tags: for, if, set, break, continue, generation; expressions with
// all of Jinja's operators but ** and /; the filters, methods, tests and functions of
// jinja_names.cc. Anything else is refused by name: a tag when the template is read, the rest when
// rendering comes to it, since most of what large templates can do is not asked for.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace aira::jinja {

struct Token {
  enum class Kind : std::uint8_t {
    kData,
    kPrint,
    kBlock,
    kClose,
    kName,
    kText,
    kNumber,
    kSign,
    kEnd
  };
  Kind kind;
  Text text;  // of kPrint, kBlock, kClose: {{ {% }} %}
  std::size_t line = 0;
};

/// The template's tokens; ends with kEnd. White space around tags is cut already. Throws Error.
std::vector<Token> tokens_of(std::string_view source);

/// Variables, and those of the scopes around.
struct Scope {
  Scope* outer = nullptr;
  Dict names = {};
  std::int64_t* steps = nullptr;  // what rendering may still do before it is given up
};

enum class Flow : std::uint8_t { kOn, kBreak, kContinue };
using Statement = std::function<Flow(Scope& scope, Text& out)>;

/// Throws Error that names the line and what is wrong or not supported there.
Statement parse(std::string_view source);

/// The text that `source` gives for these variables. Throws Error.
Text render(const Statement& program, Dict variables);

}  // namespace aira::jinja
