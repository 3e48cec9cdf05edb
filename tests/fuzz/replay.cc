// replay TARGET FOLDER: runs the target with each file of a corpus, without libFuzzer.
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "fuzz.h"

namespace {

namespace fs = std::filesystem;

std::string current;  // the input that is running

void tell_current(int signal) {
  const ssize_t ignored = ::write(STDERR_FILENO, current.data(), current.size());
  std::signal(signal, SIG_DFL);
  std::raise(ignored >= 0 ? signal : SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  const auto& all = aira::fuzz::targets();
  const auto target = std::find_if(all.begin(), all.end(), [&](const auto* one) {
    return argc == 3 && std::strcmp(one->name, argv[1]) == 0;
  });
  if (target == all.end()) {
    std::cerr << "usage: replay TARGET FOLDER\n";
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGILL, SIGBUS, SIGFPE}) {
    std::signal(signal, tell_current);
  }
  std::vector<fs::path> paths(fs::directory_iterator(argv[2]), {});
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    current = path.string() + "\n";
    std::ifstream file(path, std::ios::binary);
    const std::string input(std::istreambuf_iterator<char>(file), {});
    // Of exactly its size, so that a sanitizer sees a read past the end.
    const std::vector<char> exact(input.begin(), input.end());
    (*target)->run({exact.data(), exact.size()});
  }
  std::cout << paths.size() << " inputs\n";
  return paths.empty() ? 1 : 0;
}
