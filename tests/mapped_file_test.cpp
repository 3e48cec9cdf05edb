// What is given back of a mapped file leaves this process's memory and comes back unchanged; what
// is known of its pages.
#include "base/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/lost_pages.h"
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

TEST(LostPages, EachMappingIsKnownWhileItIsThere) {
  using ::testing::HasSubstr;
  using ::testing::StartsWith;
  const TemporaryFolder folder;
  folder.write("peso", std::string(10'000, 'x'));
  folder.write("outro", "y");
  std::optional<File> file = map_file(folder.path("peso"));
  const std::optional<File> other = map_file(folder.path("outro"));
  const std::byte* const begin = file->data.get();
  for (const std::byte* at : {begin, begin + 9'999}) {
    EXPECT_THAT(lost_page_sentence(at),
                ::testing::AllOf(StartsWith("[E545] "), HasSubstr(folder.path("peso"))));
  }
  EXPECT_THAT(lost_page_sentence(other->data.get()), HasSubstr(folder.path("outro")));
  EXPECT_EQ(lost_page_sentence(begin + 10'000), nullptr);
  EXPECT_EQ(lost_page_sentence(&file), nullptr);
  file.reset();
  EXPECT_EQ(lost_page_sentence(begin), nullptr);
  file = map_file(folder.path("outro"));  // in the entry that has become free
  EXPECT_THAT(lost_page_sentence(file->data.get()), HasSubstr(folder.path("outro")));
}

TEST(MappedFile, OtherMemoryStays) {
  const auto numbers = std::make_shared<std::vector<std::byte>>(1 << 20, std::byte{7});
  const std::shared_ptr<const std::byte> data(numbers, numbers->data());
  give_back(data, numbers->size());
  EXPECT_EQ(std::count(numbers->begin(), numbers->end(), std::byte{7}), 1 << 20);
}

}  // namespace
}  // namespace aira
