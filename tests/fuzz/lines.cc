// Lines and tables as they arrive through a pipe, in UTF-8 or UTF-16.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/csv.h"
#include "app/line_reader.h"
#include "fuzz.h"

using namespace aira;

FUZZ_TARGET(lines) {
  if (input.empty()) return;
  static const int fd = ::memfd_create("input", MFD_CLOEXEC);
  const int kind = input.front();
  const std::string_view bytes = input.substr(1);
  FUZZ_CHECK(::ftruncate(fd, 0) == 0);
  FUZZ_CHECK(::pwrite(fd, bytes.data(), bytes.size(), 0) == std::ssize(bytes));
  LineReader reader("/proc/self/fd/" + std::to_string(fd), (kind & 2) != 0 ? '\0' : '\n');
  fuzz::accepts([&] {
    if ((kind & 1) != 0) {
      CsvReader table(reader, "q");
      const std::string header = table.header(2);
      while (const auto row = table.next()) {
        fuzz::accepts([&] {
          table.require_fit();
          table.with(table.fitted(), {"a", table.question()});
        });
      }
    } else {
      std::int64_t lines = 0;
      while (const auto line = reader.next()) {
        FUZZ_CHECK(reader.number() == ++lines && line->size() <= 2 * bytes.size() + 3);
        fuzz::accepts([&] { reader.check(*line); });
      }
      FUZZ_CHECK(lines <= std::ssize(bytes) + 1);
    }
  });
}
