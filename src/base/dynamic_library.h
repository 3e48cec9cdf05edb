// Libraries that are loaded while the program runs, because it can do without them.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

namespace aira {

/// Never closed.
class DynamicLibrary {
 public:
  /// The first of these names or paths that can be loaded.
  explicit DynamicLibrary(std::initializer_list<std::string> names) {
    for (const std::string& name : names) {
      library_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library_ != nullptr) return;
      if (problem_.empty()) problem_ = ::dlerror();
    }
  }
  explicit operator bool() const { return library_ != nullptr; }
  /// Why the first could not be loaded.
  const std::string& problem() const { return problem_; }

  /// Sets `function` to the one of that name; false when there is none.
  template <typename Function>
  bool find(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(::dlsym(library_, name));
    return function != nullptr;
  }

 private:
  void* library_ = nullptr;
  std::string problem_;
};

}  // namespace aira
