// Instructions: Lib/pickletools.py of CPython; which of them and which names: torch's own
// _weights_only_unpickler. Nothing recurses, and memory grows with the length of the program only.
#include "model/pickle.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::size_t kMaxProgram = 16'000'000;

struct Value;
using Values = std::vector<Value>;

struct Value {
  enum Kind : std::uint8_t {
    kOther,  // None, a flag, a number that no tensor needs
    kMark,
    kNumber,
    kText,
    kName,      // "module name" of a class or function, in `text`
    kSequence,  // a tuple or list: `items`
    kDict,      // `items`: key, value, key, value, ...
    kStorage,   // type and file, size: `items`
    kTensor,    // storage, offset, shape, strides: `items`
  };
  Kind kind = kOther;
  std::int64_t number = 0;
  std::string_view text = {};
  Values* items = nullptr;
};

/// Every instruction is a byte, which its operand follows.
class Machine {
 public:
  Machine(std::string_view program, const std::string& where) : rest_(program), where_(where) {}

  /// What the program leaves on the stack.
  Value run() {
    for (;;) {
      const char instruction = number<char>();
      if (instruction == '.') return pop();
      step(instruction);
    }
  }

 private:
  /// `clause`, a pattern, says of {0}, the file, what is wrong, perhaps with {1}, a `detail`.
  [[noreturn]] void fail(const char* clause, const std::string& detail = "") const {
    throw Error("[E400] {}; only the weights that torch.save writes are read.",
                {message(clause, {where_, detail})});
  }

  std::string_view take(std::size_t bytes) {
    if (bytes > rest_.size()) fail(to_translate("{} is cut off"));
    const std::string_view piece = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return piece;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const std::string_view text = take(std::min(rest_.find('\n'), rest_.size()));
    take(1);
    return text;
  }
  /// A little-endian number of up to eight bytes with a sign.
  std::int64_t long_number() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > 8) fail(to_translate("{} holds a number that is too large"));
    const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0;
    std::int64_t value = negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  Value pop() {
    const Value top = this->top();
    stack_.pop_back();
    return top;
  }
  Value& top() {
    if (stack_.empty()) fail(to_translate("{} takes more than it has"));
    return stack_.back();
  }
  void push(Value value) { stack_.push_back(value); }
  void push(Value::Kind kind, Values items) {
    lists_.push_back(std::move(items));
    push({.kind = kind, .items = &lists_.back()});
  }
  /// The last `count` values, in their order.
  Values pop_last(std::size_t count) {
    Values values(count);
    while (count > 0) values[--count] = pop();
    return values;
  }
  Values pop_to_mark() {
    std::size_t count = 0;
    while (count < stack_.size() && stack_[stack_.size() - 1 - count].kind != Value::kMark) ++count;
    Values values = pop_last(count);
    pop();
    return values;
  }
  /// Adds to the list or dictionary on top.
  void extend(Value::Kind kind, const Values& values) {
    const Value& target = top();
    if (target.kind != kind || (kind == Value::kDict && values.size() % 2 != 0)) {
      fail(to_translate("{} adds to what is no list or dictionary"));
    }
    target.items->insert(target.items->end(), values.begin(), values.end());
  }

  void step(char instruction) {
    // clang-format off
    switch (instruction) {
      case '\x80': number<std::uint8_t>(); return;  // version
      case 'N': case '\x88': case '\x89': return push({});  // None, True, False
      case 'G': take(8); return push({});  // a float
      case 'K': return push({Value::kNumber, number<std::uint8_t>()});
      case 'M': return push({Value::kNumber, number<std::uint16_t>()});
      case 'J': return push({Value::kNumber, number<std::int32_t>()});
      case '\x8a': return push({Value::kNumber, long_number()});
      case 'X': return push({.kind = Value::kText, .text = take(number<std::uint32_t>())});
      case '}': return push(Value::kDict, {});
      case ']': case ')': return push(Value::kSequence, {});
      case '(': return push({.kind = Value::kMark});
      case '\x85': return push(Value::kSequence, pop_last(1));
      case '\x86': return push(Value::kSequence, pop_last(2));
      case '\x87': return push(Value::kSequence, pop_last(3));
      case 't': return push(Value::kSequence, pop_to_mark());
      case 'a': return extend(Value::kSequence, pop_last(1));
      case 'e': return extend(Value::kSequence, pop_to_mark());
      case 's': return extend(Value::kDict, pop_last(2));
      case 'u': return extend(Value::kDict, pop_to_mark());
      case 'q': memo_[number<std::uint8_t>()] = top(); return;
      case 'r': memo_[number<std::uint32_t>()] = top(); return;
      case 'h': return recall(number<std::uint8_t>());
      case 'j': return recall(number<std::uint32_t>());
      case 'c': return push_name();
      case 'Q': return push_storage();
      case 'R': return call();
      case 'b': pop(); top(); return;  // attributes, such as a state dict's _metadata
      default: fail(to_translate("{} has the unexpected instruction {}"), quote(std::string(1, instruction)));
    }
    // clang-format on
  }

  void recall(std::uint32_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) fail(to_translate("{} recalls what it never kept"));
    push(found->second);
  }

  /// A class or function by its module and its name.
  void push_name() {
    const std::string_view begin = rest_;
    const std::string_view module = line();
    const std::string_view name = line();
    const std::string_view both = begin.substr(0, module.size() + 1 + name.size());
    static constexpr std::string_view kKnown[] = {
        "collections\nOrderedDict", "torch\nSize", "torch._utils\n_rebuild_tensor",
        "torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_parameter"};
    const bool storage = module == "torch" && name.ends_with("Storage");
    if (!storage && std::find(std::begin(kKnown), std::end(kKnown), both) == std::end(kKnown)) {
      fail(to_translate("{} asks for {}"), quote(std::string(module) + "." + std::string(name)));
    }
    push({.kind = Value::kName, .text = storage ? name : both});
  }

  /// From ("storage", type, file, device, size).
  void push_storage() {
    const Value id = pop();
    if (!has(id, {Value::kText, Value::kName, Value::kText, Value::kText, Value::kNumber})) {
      fail(to_translate("{} describes a storage in an unknown way"));
    }
    push(Value::kStorage, {(*id.items)[1], (*id.items)[2], (*id.items)[4]});
  }

  /// Whether `value` is a sequence that begins with these.
  static bool has(const Value& value, std::initializer_list<Value::Kind> kinds) {
    if (value.kind != Value::kSequence || value.items->size() < kinds.size()) return false;
    const auto same = [](const Value& item, Value::Kind kind) { return item.kind == kind; };
    return std::equal(kinds.begin(), kinds.end(), value.items->begin(),
                      [&](Value::Kind kind, const Value& item) { return same(item, kind); });
  }

  void call() {
    const Value arguments = pop();
    const Value function = pop();
    const auto is = [&](std::string_view name) {
      return function.kind == Value::kName &&
             function.text.substr(function.text.find('\n') + 1) == name;
    };
    if (is("OrderedDict") && has(arguments, {}) && arguments.items->empty()) {
      return push(Value::kDict, {});
    }
    if (is("Size") && has(arguments, {Value::kSequence})) return push(arguments.items->front());
    if (is("_rebuild_parameter") && has(arguments, {Value::kTensor})) {
      return push(arguments.items->front());
    }
    const bool rebuilds = is("_rebuild_tensor") || is("_rebuild_tensor_v2");
    if (rebuilds &&
        has(arguments, {Value::kStorage, Value::kNumber, Value::kSequence, Value::kSequence})) {
      return push(Value::kTensor, {arguments.items->begin(), arguments.items->begin() + 4});
    }
    fail(to_translate("{} makes a call that builds no tensor"));
  }

  std::string_view rest_;
  const std::string& where_;
  Values stack_;
  std::deque<Values> lists_;  // owns what values refer to, so that cycles do no harm
  std::unordered_map<std::uint32_t, Value> memo_;
};

/// Numbers that are not negative.
std::optional<std::vector<std::int64_t>> sizes(const Value& sequence) {
  std::vector<std::int64_t> numbers;
  for (const Value& item : *sequence.items) {
    if (item.kind != Value::kNumber || item.number < 0) return std::nullopt;
    numbers.push_back(item.number);
  }
  return numbers;
}

}  // namespace

std::vector<PickledTensor> read_pickle(std::string_view program, const std::string& where) {
  if (program.size() > kMaxProgram) {
    throw Error("[E401] {} describes too many tensors.", {where});
  }
  Machine machine(program, where);
  const Value state = machine.run();
  if (state.kind != Value::kDict) {
    throw Error("[E402] {} holds no dictionary of tensors.", {where});
  }
  std::map<std::string_view, Value> by_name;  // of a name given twice, the last counts
  for (std::size_t i = 0; i < state.items->size(); i += 2) {
    const Value& key = (*state.items)[i];
    if (key.kind != Value::kText) {
      throw Error("[E403] {} has a tensor whose name is no text.", {where});
    }
    by_name[key.text] = (*state.items)[i + 1];
  }
  std::vector<PickledTensor> tensors;
  for (const auto& [name, value] : by_name) {
    const std::string tensor = message("{}: tensor {}", {where, quote(name)});
    if (value.kind != Value::kTensor) {
      throw Error("[E404] {} is no tensor; only a state dict is read.", {tensor});
    }
    const Values& parts = *value.items;
    const Values& storage = *parts[0].items;
    const auto shape = sizes(parts[2]);
    const auto strides = sizes(parts[3]);
    if (!shape || !strides || shape->size() != strides->size() || parts[1].number < 0 ||
        storage[2].number < 0) {
      throw Error("[E405] {} has an impossible shape.", {tensor});
    }
    tensors.push_back({std::string(name), std::string(storage[0].text),
                       std::string(storage[1].text), storage[2].number, parts[1].number, *shape,
                       *strides});
  }
  return tensors;
}

}  // namespace aira
