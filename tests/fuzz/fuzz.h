// What the fuzz targets share. A target is a file with one FUZZ_TARGET: any bytes may come in; it
// must return, within a second and a gigabyte, without a mistake that a sanitizer sees, and every
// FUZZ_CHECK must hold. tools/fuzz runs the targets in libFuzzer; replay.cc, a part of the tests,
// runs the inputs that are kept in corpus/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aira::fuzz {

struct Target {
  Target(const char* name, void (*run)(std::string_view input));

  const char* name;
  void (*run)(std::string_view input);
};

/// All that are linked in.
std::vector<const Target*>& targets();

/// Runs `action`. An Error that it throws must be a sentence for people: one line of valid UTF-8
/// without control characters. False when there was one.
bool accepts(const std::function<void()>& action);

/// The parts of `input` between bytes 0xFF, which no UTF-8 has; the last of `count` has the rest,
/// and those that are missing are empty.
std::vector<std::string> parts_of(std::string_view input, std::size_t count);

/// Decisions made by an input; when it is used up, all are the first.
class Choices {
 public:
  explicit Choices(std::string_view input) : rest_(input) {}

  bool used_up() const { return rest_.empty(); }
  std::uint8_t byte();
  /// One in `n`.
  bool rarely(int n) { return byte() % n == n - 1; }
  bool flag() { return (byte() & 1U) != 0; }
  /// From `from` to `to`, at most 256 values.
  std::int64_t number(std::int64_t from, std::int64_t to) {
    return from + byte() % (to - from + 1);
  }
  /// Any, by its bits.
  template <typename T>
  T any() {
    T value{};
    for (std::size_t i = 0; i < sizeof value; ++i) {
      reinterpret_cast<std::uint8_t*>(&value)[i] = byte();
    }
    return value;
  }
  /// Up to `most` bytes; at most 255.
  std::string text(std::size_t most);
  std::string_view rest() { return std::exchange(rest_, {}); }

 private:
  std::string_view rest_;
};

[[noreturn]] void failed(const char* file, int line, const char* condition);

}  // namespace aira::fuzz

#define FUZZ_CHECK(...) \
  ((__VA_ARGS__) ? void() : ::aira::fuzz::failed(__FILE__, __LINE__, #__VA_ARGS__))

#define FUZZ_TARGET(name)                                                \
  static void run_##name(std::string_view input);                        \
  static const ::aira::fuzz::Target target_##name = {#name, run_##name}; \
  static void run_##name(std::string_view input)
