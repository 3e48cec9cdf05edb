// What is given back of a mapped file leaves this process's memory and comes back unchanged.
#include "base/mapped_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "model_fixtures.h"

namespace aira {
namespace {

/// Bytes of files that are mapped into this process and in memory.
std::int64_t resident() {
  std::ifstream status("/proc/self/status");
  std::int64_t kilobytes = 0;
  for (std::string word; status >> word;) {
    if (word == "RssFile:" && status >> kilobytes) break;
  }
  return kilobytes * 1024;
}

TEST(MappedFile, GivesBackWhatIsNotNeededNow) {
  constexpr std::size_t kSize = (std::size_t{24} << 20) + 12'345;
  const TemporaryFolder folder;
  std::string text(kSize, '\0');
  for (std::size_t i = 0; i < kSize; ++i) text[i] = static_cast<char>(i * i >> 7U);
  folder.write("peso", text);
  const std::optional<File> file = map_file(folder.path("peso"));
  const std::int64_t before = resident();
  EXPECT_EQ(file->text(), text);
  EXPECT_GT(resident(), before + (20 << 20));
  const std::shared_ptr<const std::byte> part(file->data, file->data.get() + 5'001);
  give_back(part, kSize - 7'001);
  EXPECT_LT(resident(), before + (1 << 20));
  read_ahead(part, kSize - 5'001);
  EXPECT_EQ(file->text(), text);
}

TEST(MappedFile, OtherMemoryStays) {
  const auto numbers = std::make_shared<std::vector<std::byte>>(1 << 20, std::byte{7});
  const std::shared_ptr<const std::byte> data(numbers, numbers->data());
  give_back(data, numbers->size());
  EXPECT_EQ(std::count(numbers->begin(), numbers->end(), std::byte{7}), 1 << 20);
}

}  // namespace
}  // namespace aira
