// What the time from the program's start to the first answer went into, for --stats.
#pragma once

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace aira {

class StartClock {
 public:
  /// Notes the processor time that the program's loading and command line took so far.
  StartClock() {
    timespec spent{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    add("program", static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9);
  }

  /// Does `work` and notes how long it took.
  template <typename Work>
  auto time(const char* part, const Work& work) {
    const Noted noted{*this, part, std::chrono::steady_clock::now()};
    return work();
  }
  void add(const std::string& part, double seconds) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), " %.1f ms", seconds * 1e3);
    parts_ += (parts_.empty() ? "" : ", ") + part + text.data();
  }
  /// "program 1.2 ms, tokenizer 3.4 ms, ..."
  const std::string& text() const { return parts_; }
  void clear() { parts_.clear(); }

 private:
  struct Noted {
    StartClock& clock;
    const char* part;
    std::chrono::steady_clock::time_point begin;
    ~Noted() {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      clock.add(part, took.count());
    }
  };
  std::string parts_;
};

}  // namespace aira
