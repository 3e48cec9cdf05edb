// The parser of chat templates: a template becomes functions, one for each statement and one for
// each expression. Statements are in jinja.cc, expressions in jinja_expressions.cc.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "aira/error.h"
#include "base/printable.h"
#include "text/jinja.h"

namespace aira::jinja {

using Kind = Token::Kind;
using Expression = std::function<Value(Scope& scope)>;
/// One or several names on the left of `=` and in a for loop.
using Targets = std::vector<Text>;

/// The variable, or the function of that name; else Undefined.
Value look_up(const Scope& scope, const Text& name);
void set(Dict& names, const Text& name, Value value);

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokens_of(source)) {}

  Statement template_body() {
    Statement body = parse_body({});
    if (!is(Kind::kEnd)) fail();
    return body;
  }

 private:
  // Tokens.
  const Token& token() const { return tokens_[at_]; }
  bool is(Kind kind) const { return token().kind == kind; }
  bool is(Kind kind, const char* text) const { return is(kind) && token().text == text_of(text); }
  bool is_sign(const char* text) const { return is(Kind::kSign, text); }
  bool is_name(const char* text) const { return is(Kind::kName, text); }
  bool take(Kind kind, const char* text) {
    const bool found = is(kind, text);
    at_ += found ? 1 : 0;
    return found;
  }
  bool take_sign(const char* text) { return take(Kind::kSign, text); }
  bool take_name(const char* text) { return take(Kind::kName, text); }
  void expect(Kind kind, const char* text) {
    if (!take(kind, text)) fail(quote(text));
  }
  std::string name() {
    if (!is(Kind::kName)) fail(message("a name"));
    return utf8_of(tokens_[at_++].text);
  }
  [[noreturn]] void fail(const std::string& expected = "") const {
    const std::string found = is(Kind::kEnd) ? message("the end") : quote(utf8_of(token().text));
    throw Error("[E320] The model's chat template cannot be read: line {}: {}.",
                {std::to_string(token().line),
                 expected.empty() ? message("unexpected {}", {found})
                                  : message("expected {}, not {}", {expected, found})});
  }
  [[noreturn]] void refuse(const std::string& what) const {
    unsupported(message("{} (line {})", {what, std::to_string(token().line)}));
  }

  /// Counts nested tags and brackets, so that hostile ones do not exhaust the stack.
  struct Deeper {
    explicit Deeper(Parser& owner) : parser(owner) {
      if (++parser.depth_ > 100) unsupported(message("tags or brackets nested deeper than 100"));
    }
    ~Deeper() { --parser.depth_; }
    Parser& parser;
  };

  // Statements.
  using Ends = std::initializer_list<const char*>;
  Statement parse_body(Ends ends);
  Statement parse_block(const std::string& tag);
  Statement parse_if();
  Statement parse_for();
  Statement parse_set();
  Targets parse_targets();
  void end_of_block() { expect(Kind::kClose, "%}"); }

  // Expressions, from the loosest to the tightest.
  Expression parse_tuple();
  Expression parse_condition();
  Expression parse_or();
  Expression parse_and();
  Expression parse_not();
  Expression parse_comparison();
  using Level = Expression (Parser::*)();
  Expression parse_chain(std::initializer_list<const char*> signs, Level tighter);
  Expression parse_sum() { return parse_chain({"+", "-"}, &Parser::parse_join); }
  Expression parse_join() { return parse_chain({"~"}, &Parser::parse_product); }
  Expression parse_product() { return parse_chain({"*", "//", "%"}, &Parser::parse_sign); }
  Expression parse_sign();
  Expression parse_primary();
  Value parse_number();
  Expression parse_postfix(Expression value);
  Expression parse_filters(Expression value);
  Expression parse_index(Expression value);
  Expression parse_test(Expression value);
  Expression parse_brackets();
  std::function<Arguments(Scope&)> parse_arguments();

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace aira::jinja
