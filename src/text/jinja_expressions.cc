#include <algorithm>
#include <array>
#include <utility>

#include "text/jinja_parser.h"

namespace aira::jinja {

Value Parser::parse_number() { return {std::int64_t{std::stoll(utf8_of(tokens_[at_++].text))}}; }

/// Values with commas between make a list.
Expression Parser::parse_tuple() {
  Expression first = parse_condition();
  if (!is_sign(",")) return first;
  std::vector<Expression> all = {std::move(first)};
  while (take_sign(",") && !is(Kind::kClose) && !is_sign(")") && !is_sign("=")) {
    all.push_back(parse_condition());
  }
  return [all = std::move(all)](Scope& scope) {
    List list;
    for (const Expression& one : all) list.push_back(one(scope));
    return new_list(std::move(list));
  };
}

/// `a if condition else b`
Expression Parser::parse_condition() {
  const Deeper deeper(*this);
  Expression value = parse_or();
  while (take_name("if")) {
    const Expression condition = parse_or();
    const Expression otherwise = take_name("else") ? parse_condition() : nullptr;
    value = [value, condition, otherwise](Scope& scope) {
      if (truth(condition(scope))) return value(scope);
      return otherwise ? otherwise(scope) : Value{};
    };
  }
  return value;
}

Expression Parser::parse_or() {
  Expression left = parse_and();
  while (take_name("or")) {
    left = [left, right = parse_and()](Scope& scope) {
      Value value = left(scope);
      return truth(value) ? value : right(scope);
    };
  }
  return left;
}

Expression Parser::parse_and() {
  Expression left = parse_not();
  while (take_name("and")) {
    left = [left, right = parse_not()](Scope& scope) {
      Value value = left(scope);
      return truth(value) ? right(scope) : value;
    };
  }
  return left;
}

Expression Parser::parse_not() {
  if (!take_name("not")) return parse_comparison();
  const Deeper deeper(*this);
  return [value = parse_not()](Scope& scope) { return Value{!truth(value(scope))}; };
}

/// `a < b <= c` holds when both parts do.
Expression Parser::parse_comparison() {
  Expression first = parse_sum();
  std::vector<std::pair<std::string, Expression>> rest;
  for (;;) {
    std::string sign;
    for (const char* one : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (sign.empty() && take_sign(one)) sign = one;
    }
    if (sign.empty() && take_name("in")) sign = "in";
    if (sign.empty() && is_name("not") && tokens_[at_ + 1].text == U"in") {
      at_ += 2;
      sign = "not in";
    }
    if (sign.empty()) break;
    rest.emplace_back(sign, parse_sum());
  }
  if (rest.empty()) return first;
  return [first, rest](Scope& scope) {
    Value left = first(scope);
    for (const auto& [sign, expression] : rest) {
      Value right = expression(scope);
      if (!truth(operate(sign, left, right))) return Value{false};
      left = std::move(right);
    }
    return Value{true};
  };
}

/// Operators of one level, from left to right.
Expression Parser::parse_chain(std::initializer_list<const char*> signs, Level tighter) {
  Expression left = (this->*tighter)();
  for (;;) {
    const auto* const sign =
        std::find_if(signs.begin(), signs.end(), [&](const char* one) { return take_sign(one); });
    if (is_sign("/") || is_sign("**")) {
      refuse(message("the operator {}", {quote(utf8_of(token().text))}));
    }
    if (sign == signs.end()) return left;
    left = [left, sign = std::string(*sign), right = (this->*tighter)()](Scope& scope) {
      const Value value = left(scope);
      return operate(sign, value, right(scope));
    };
  }
}

Expression Parser::parse_sign() {
  const Deeper deeper(*this);
  if (take_sign("-")) {
    return parse_filters([value = parse_sign()](Scope& scope) {
      return operate("-", {std::int64_t{0}}, value(scope));
    });
  }
  if (take_sign("+")) return parse_sign();
  return parse_filters(parse_postfix(parse_primary()));
}

Expression Parser::parse_primary() {
  if (is(Kind::kText)) {
    Text text;
    while (is(Kind::kText)) text += tokens_[at_++].text;
    return [text](Scope&) { return Value{text}; };
  }
  if (is(Kind::kNumber)) {
    return [value = parse_number()](Scope&) { return value; };
  }
  if (!is(Kind::kName)) return parse_brackets();
  const std::string word = name();
  const auto constant = [](Value value) { return [value](Scope&) { return value; }; };
  if (word == "true" || word == "True") return constant({true});
  if (word == "false" || word == "False") return constant({false});
  if (word == "none" || word == "None") return constant({None{}});
  return [key = text_of(word)](Scope& scope) { return look_up(scope, key); };
}

/// (value), (a, b), [a, b], {"a": b}
Expression Parser::parse_brackets() {
  if (take_sign("(")) {
    if (take_sign(")")) return [](Scope&) { return new_list({}); };
    Expression value = parse_tuple();
    expect(Kind::kSign, ")");
    return value;
  }
  const bool mapping = is_sign("{");
  if (!mapping && !is_sign("[")) fail(message("a value"));
  ++at_;
  const char* const end = mapping ? "}" : "]";
  std::vector<std::pair<Expression, Expression>> entries;
  while (!take_sign(end)) {
    if (!entries.empty()) expect(Kind::kSign, ",");
    if (take_sign(end)) break;
    Expression key = parse_condition();
    if (mapping) expect(Kind::kSign, ":");
    entries.emplace_back(std::move(key), mapping ? parse_condition() : nullptr);
  }
  return [mapping, entries](Scope& scope) {
    List list;
    Dict dict;
    for (const auto& [key, value] : entries) {
      if (mapping) {
        set(dict, print(key(scope)), value(scope));
      } else {
        list.push_back(key(scope));
      }
    }
    return mapping ? new_dict(std::move(dict)) : new_list(std::move(list));
  };
}

/// .name, [key], [from:to:step], (arguments)
Expression Parser::parse_postfix(Expression value) {
  for (;;) {
    if (take_sign(".")) {
      if (is(Kind::kNumber)) {
        value = [value, key = parse_number()](Scope& scope) { return item(value(scope), key); };
        continue;
      }
      const std::string word = name();
      if (is_sign("(")) {
        value = [value, word, arguments = parse_arguments()](Scope& scope) {
          const Value self = value(scope);
          return method(word, self, arguments(scope));
        };
      } else {
        value = [value, key = Value{text_of(word)}](Scope& scope) {
          return item(value(scope), key);
        };
      }
    } else if (take_sign("[")) {
      value = parse_index(std::move(value));
    } else if (is_sign("(")) {
      value = [value, arguments = parse_arguments()](Scope& scope) {
        const Value function = value(scope);
        return call(function, arguments(scope));
      };
    } else {
      return value;
    }
  }
}

/// Behind the opening bracket.
Expression Parser::parse_index(Expression value) {
  std::array<Expression, 3> bounds;
  bounds.fill([](Scope&) { return Value{None{}}; });
  std::size_t colons = 0;
  while (!take_sign("]")) {
    if (take_sign(":")) {
      if (++colons > 2) fail(quote("]"));
    } else {
      bounds[colons] = parse_condition();
      if (!is_sign(":") && !is_sign("]")) fail(quote("]"));
    }
  }
  return [value, bounds, colons](Scope& scope) {
    const Value self = value(scope);
    const Value from = bounds[0](scope);
    return colons == 0 ? item(self, from) : slice(self, from, bounds[1](scope), bounds[2](scope));
  };
}

/// | filter, is test
Expression Parser::parse_filters(Expression value) {
  for (;;) {
    if (take_sign("|")) {
      const std::string word = name();
      std::function<Arguments(Scope&)> arguments = [](Scope&) { return Arguments{}; };
      if (is_sign("(")) arguments = parse_arguments();
      value = [value, word, arguments](Scope& scope) {
        const Value self = value(scope);
        return filter(word, self, arguments(scope));
      };
    } else if (take_name("is")) {
      value = parse_test(std::move(value));
    } else if (is_sign("(")) {
      fail();
    } else {
      return value;
    }
  }
}

/// Behind `is`.
Expression Parser::parse_test(Expression value) {
  const bool negated = take_name("not");
  const std::string word = name();
  std::function<Arguments(Scope&)> arguments = [](Scope&) { return Arguments{}; };
  const bool ends = is_name("else") || is_name("or") || is_name("and") || is_name("if") ||
                    is_name("is") || is_name("in") || is_name("not");
  if (is_sign("(")) {
    arguments = parse_arguments();
  } else if (!ends && (is(Kind::kName) || is(Kind::kText) || is(Kind::kNumber) || is_sign("[") ||
                       is_sign("{"))) {
    arguments = [argument = parse_postfix(parse_primary())](Scope& scope) {
      return Arguments{{argument(scope)}, {}};
    };
  }
  return [value, word, negated, arguments](Scope& scope) {
    const Value self = value(scope);
    return Value{test(word, self, arguments(scope)) != negated};
  };
}

/// (a, b, name=c)
std::function<Arguments(Scope&)> Parser::parse_arguments() {
  const Deeper deeper(*this);
  expect(Kind::kSign, "(");
  std::vector<std::pair<Text, Expression>> given;  // without a name: the name is empty
  while (!take_sign(")")) {
    if (!given.empty()) expect(Kind::kSign, ",");
    if (take_sign(")")) break;
    Text keyword;
    if (is(Kind::kName) && tokens_[at_ + 1].kind == Kind::kSign && tokens_[at_ + 1].text == U"=") {
      keyword = token().text;
      at_ += 2;
    }
    given.emplace_back(std::move(keyword), parse_condition());
  }
  return [given](Scope& scope) {
    Arguments arguments;
    for (const auto& [keyword, value] : given) {
      if (keyword.empty()) {
        arguments.values.push_back(value(scope));
      } else {
        set(arguments.named, keyword, value(scope));
      }
    }
    return arguments;
  };
}

}  // namespace aira::jinja
