#include "text/jinja.h"

#include <algorithm>

#include "text/jinja_parser.h"

namespace aira::jinja {
namespace {

constexpr std::int64_t kMostSteps = 100000;  // statements and turns of loops

void spend(const Scope& scope) {
  if (--*scope.steps < 0) {
    throw Error("[E322] The model's chat template does not come to an end.");
  }
}

void assign(Scope& scope, const Targets& targets, const Value& value) {
  if (targets.size() == 1) return set(scope.names, targets[0], value);
  const List parts = items(value);
  if (parts.size() != targets.size()) {
    throw Error("[E323] The model's chat template takes {} values apart where there are {}.",
                {std::to_string(targets.size()), std::to_string(parts.size())});
  }
  for (std::size_t i = 0; i < parts.size(); ++i) set(scope.names, targets[i], parts[i]);
}

void append(Text& out, const Text& text) {
  constexpr std::size_t kLongest = std::size_t{1} << 24;
  if (out.size() + text.size() > kLongest) {
    throw Error("[E324] The model's chat template makes too long a text.");
  }
  out += text;
}

/// What `loop` is for item number `at`.
Value loop_at(const List& list, std::size_t at) {
  const auto number = [](std::size_t value) { return Value{static_cast<std::int64_t>(value)}; };
  const std::size_t size = list.size();
  Dict loop = {{U"index", number(at + 1)},
               {U"index0", number(at)},
               {U"first", {at == 0}},
               {U"last", {at + 1 == size}},
               {U"length", number(size)},
               {U"revindex", number(size - at)},
               {U"revindex0", number(size - at - 1)}};
  if (at > 0) loop.emplace_back(U"previtem", list[at - 1]);
  if (at + 1 < size) loop.emplace_back(U"nextitem", list[at + 1]);
  return new_dict(std::move(loop));
}

}  // namespace

Statement Parser::parse_body(Ends ends) {
  const Deeper deeper(*this);
  std::vector<Statement> body;
  while (!is(Kind::kEnd)) {
    if (is(Kind::kData)) {
      body.emplace_back([text = tokens_[at_++].text](Scope&, Text& out) {
        append(out, text);
        return Flow::kOn;
      });
      continue;
    }
    const bool prints = is(Kind::kPrint);
    ++at_;
    if (prints) {
      body.emplace_back([value = parse_tuple()](Scope& scope, Text& out) {
        append(out, print(value(scope)));
        return Flow::kOn;
      });
      expect(Kind::kClose, "}}");
      continue;
    }
    if (std::any_of(ends.begin(), ends.end(), [&](const char* end) { return is_name(end); })) break;
    body.push_back(parse_block(name()));
  }
  if (is(Kind::kEnd) && ends.size() > 0) fail(std::string("{% ") + *(ends.end() - 1));
  return [body = std::move(body)](Scope& scope, Text& out) {
    for (const Statement& one : body) {
      spend(scope);
      if (const Flow flow = one(scope, out); flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  };
}

/// Behind the tag's name.
Statement Parser::parse_block(const std::string& tag) {
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "generation") {  // marks what the model was trained to say
    end_of_block();
    Statement body = parse_body({"endgeneration"});
    ++at_;
    end_of_block();
    return body;
  }
  if ((tag == "break" || tag == "continue") && loops_ > 0) {
    end_of_block();
    return [flow = tag == "break" ? Flow::kBreak : Flow::kContinue](Scope&, Text&) { return flow; };
  }
  refuse(message("the tag {}", {quote(tag)}));
}

Statement Parser::parse_if() {
  const Expression condition = parse_tuple();
  end_of_block();
  const Statement body = parse_body({"elif", "else", "endif"});
  Statement otherwise;
  const std::string tag = name();
  if (tag == "elif") {
    const Deeper deeper(*this);
    otherwise = parse_if();
  } else {
    end_of_block();
    if (tag == "else") {
      otherwise = parse_body({"endif"});
      ++at_;
      end_of_block();
    }
  }
  return [condition, body, otherwise](Scope& scope, Text& out) {
    if (truth(condition(scope))) return body(scope, out);
    return otherwise ? otherwise(scope, out) : Flow::kOn;
  };
}

Statement Parser::parse_for() {
  const Targets targets = parse_targets();
  expect(Kind::kName, "in");
  const Expression all = parse_or();
  const Expression wanted = take_name("if") ? parse_tuple() : nullptr;
  if (is_name("recursive")) refuse(message("a recursive loop"));
  end_of_block();
  ++loops_;
  const Statement body = parse_body({"else", "endfor"});
  --loops_;
  const bool has_else = name() == "else";
  Statement otherwise;
  end_of_block();
  if (has_else) {
    otherwise = parse_body({"endfor"});
    ++at_;
    end_of_block();
  }
  return [targets, all, wanted, body, otherwise](Scope& scope, Text& out) {
    List list = items(all(scope));
    const auto inner = [&] { return Scope{&scope, {}, scope.steps}; };
    if (wanted) {
      std::erase_if(list, [&](const Value& one) {
        Scope filtered = inner();
        assign(filtered, targets, one);
        return !truth(wanted(filtered));
      });
    }
    for (std::size_t at = 0; at < list.size(); ++at) {
      spend(scope);
      Scope turn = inner();
      set(turn.names, U"loop", loop_at(list, at));
      assign(turn, targets, list[at]);
      if (body(turn, out) == Flow::kBreak) break;
    }
    Scope after = inner();
    return list.empty() && otherwise ? otherwise(after, out) : Flow::kOn;
  };
}

/// `set a = ...`, `set a, b = ...`, `set namespace.a = ...`, `set a %}...{% endset`.
Statement Parser::parse_set() {
  Targets targets = parse_targets();
  Text attribute;
  if (targets.size() == 1 && take_sign(".")) attribute = text_of(name());
  const bool block = is(Kind::kClose);
  Expression value;
  if (block) {
    end_of_block();
    value = [body = parse_body({"endset"})](Scope& scope) {
      Scope inner = {&scope, {}, scope.steps};
      Text text;
      body(inner, text);
      return Value{text};
    };
    ++at_;
  } else {
    if (is_sign("|")) refuse(message("a filter on a block"));
    expect(Kind::kSign, "=");
    value = parse_tuple();
  }
  end_of_block();
  return [targets, attribute, value](Scope& scope, Text&) {
    if (attribute.empty()) {
      assign(scope, targets, value(scope));
    } else if (Dict* names = look_up(scope, targets[0]).dict()) {
      set(*names, attribute, value(scope));
    } else {
      throw Error("[E325] The model's chat template sets {} of something that is no namespace.",
                  {quote(utf8_of(attribute))});
    }
    return Flow::kOn;
  };
}

Targets Parser::parse_targets() {
  const bool brackets = take_sign("(");
  Targets targets;
  do {
    targets.push_back(text_of(name()));
  } while (take_sign(","));
  if (brackets) expect(Kind::kSign, ")");
  return targets;
}

Value look_up(const Scope& scope, const Text& name) {
  for (const Scope* one = &scope; one != nullptr; one = one->outer) {
    for (const auto& [known, value] : one->names) {
      if (known == name) return value;
    }
  }
  if (is_function(utf8_of(name))) return {Function{utf8_of(name)}};
  return {Undefined{utf8_of(name)}};
}

void set(Dict& names, const Text& name, Value value) {
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found == names.end()) {
    names.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

Statement parse(std::string_view source) { return Parser(source).template_body(); }

Text render(const Statement& program, Dict variables) {
  std::int64_t steps = kMostSteps;
  Scope scope = {nullptr, std::move(variables), &steps};
  Text out;
  program(scope, out);
  return out;
}

}  // namespace aira::jinja
