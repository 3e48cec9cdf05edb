// A mapped file that is cut short ends the program with a sentence, not by a signal.
#include "app/lost_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/mapped_file.h"
#include "model_fixtures.h"

namespace aira {
namespace {

constexpr std::size_t kSize = std::size_t{1} << 20;

/// Reads the last byte in several threads, after the file was cut short.
void read_what_is_gone(const TemporaryFolder& folder) {
  catch_lost_files();
  folder.write("peso", std::string(kSize, 'x'));
  const std::optional<File> file = map_file(folder.path("peso"));
  std::filesystem::resize_file(folder.path("peso"), 4096);
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back(
        [&] { static_cast<volatile const std::byte*>(file->data.get())[kSize - 1]; });
  }
  for (std::thread& reader : readers) reader.join();
}

TEST(LostFileDeathTest, IsOneSentenceAndExitCode1) {
  const TemporaryFolder folder;
  const std::string sentence =
      "aira-cli: error: \\[E545\\] " + folder.path("peso") + " was cut short ";
  EXPECT_EXIT(read_what_is_gone(folder), ::testing::ExitedWithCode(1), sentence + "[^\n]*[.]\n$");
}

/// The same of memory that is none of the program's files.
void read_beyond_another_mapping(const TemporaryFolder& folder) {
  catch_lost_files();
  folder.write("other", "x");
  const int fd = ::open(folder.path("other").c_str(), O_RDONLY);
  const void* data = ::mmap(nullptr, 2 * 65536, PROT_READ, MAP_PRIVATE, fd, 0);
  static_cast<volatile const char*>(data)[65536];
}

TEST(LostFileDeathTest, OtherFaultsStayWhatTheyAre) {
  const TemporaryFolder folder;
  EXPECT_EXIT(read_beyond_another_mapping(folder), ::testing::KilledBySignal(SIGBUS), "");
  const auto be_sent_one = [] {
    catch_lost_files();
    std::raise(SIGBUS);
  };
  EXPECT_EXIT(be_sent_one(), ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace aira
