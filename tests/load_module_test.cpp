// Messages when the CUDA module is missing or is something else.
#include "device/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_fixtures.h"

namespace aira {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

#ifdef AIRA_STATIC
TEST(LoadModule, AStaticProgramSaysThatItCannot) {
  const TemporaryFolder folder;
  folder.write("libaira_cuda.so", "");
  EXPECT_EQ(error_of([&] { load_cuda_module(folder.path("aira-cli")); }),
            "This program is the static one, which cannot use a GPU; install the package with the "
            "CUDA module, or use --device cpu.");
}
#else
TEST(LoadModule, MissingIsASentence) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { load_cuda_module(folder.path("aira-cli")); }),
            "This program was built without its CUDA module (libaira_cuda.so is not beside it); "
            "build with -DAIRA_CUDA=ON, or use --device cpu.");
}

TEST(LoadModule, DamagedIsASentence) {
  const TemporaryFolder folder;
  folder.write("libaira_cuda.so", "not a library");
  const std::string sentence = error_of([&] { load_cuda_module(folder.path("aira-cli")); });
  EXPECT_THAT(sentence, StartsWith("The CUDA module cannot be loaded: "));
  EXPECT_THAT(sentence, testing::EndsWith("."));
  EXPECT_THAT(sentence, HasSubstr("libaira_cuda.so"));
}

TEST(LoadModule, IsFoundWhereItIsInstalled) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("bin"));
  const auto place = std::filesystem::path(AIRA_MODULE_FOLDER).lexically_relative("..");
  std::filesystem::create_directories(folder.path(place));
  folder.write(place / "libaira_cuda.so", "not a library");
  EXPECT_THAT(error_of([&] { load_cuda_module(folder.path("bin/aira-cli")); }),
              StartsWith("The CUDA module cannot be loaded: "));
}

TEST(LoadModule, AnotherLibraryIsASentence) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(AIRA_OTHER_LIBRARY, folder.path("libaira_cuda.so"));
  EXPECT_EQ(error_of([&] { load_cuda_module(folder.path("aira-cli")); }),
            "libaira_cuda.so is not this program's CUDA module.");
}
#endif

TEST(DeviceChoice, AGpuIsStartedWhereItPays) {
  constexpr std::int64_t kMini = 9 << 20;
  constexpr std::int64_t kSmall = 250 << 20;
  EXPECT_FALSE(gpu_is_sooner(kMini, 1));
  EXPECT_TRUE(gpu_is_sooner(kMini, 100));
  EXPECT_TRUE(gpu_is_sooner(kMini, 0));
  EXPECT_TRUE(gpu_is_sooner(kSmall, 1));
}

}  // namespace
}  // namespace aira
