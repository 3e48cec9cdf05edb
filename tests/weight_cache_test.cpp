// A model's weights kept in a file: what is written comes back, and nothing that is damaged,
// foreign or out of date is taken.
#include "model/weight_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <sstream>
#include <thread>
#include <vector>

#include "base/huge_pages.h"
#include "cpu/cpu_backend.h"
#include "model/checkpoint.h"
#include "model_fixtures.h"
#include "packed_fixtures.h"

namespace aira {
namespace {

TEST(SettlingFile, StaysTheSameWhileItIsCopied) {
  TemporaryFolder folder;
  std::string content(20'000'003, 'a');
  for (std::size_t i = 0; i < content.size(); i += 4093) content[i] = static_cast<char>(i);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4097}, content.size()}) {
    folder.write("f", content);
    const int fd = ::open(folder.path("f").c_str(), O_RDONLY);
    const std::shared_ptr<SettlingFile> file = SettlingFile::map(fd, bytes, "f");
    ::close(fd);
    ASSERT_TRUE(file);
    const auto same = [&] { return std::memcmp(file->data(), content.data(), bytes) == 0; };
    std::atomic<bool> settled = false;
    std::atomic<bool> differed = false;
    std::thread reader([&] {
      do {
        if (!same()) differed = true;
      } while (!settled);
    });
    file->settle({});
    settled = true;
    reader.join();
    EXPECT_FALSE(differed) << bytes;
    // A copy: what becomes of the file does not matter any more.
    std::fstream(folder.path("f"), std::ios::in | std::ios::out) << std::string(bytes, 'b');
    EXPECT_TRUE(same()) << bytes;
  }
}

/// Every parameter's bytes, one after the other.
std::string all_bytes(const Model& model, const Backend& backend) {
  std::string bytes;
  const auto add_matrix = [&](const Matrix& m) {
    bytes.append(static_cast<const char*>(m.data.get()),
                 static_cast<std::size_t>(backend.packing()->bytes(m.dtype, m.in, m.out)));
  };
  const auto add_vector = [&](const Vector& v) {
    bytes.append(reinterpret_cast<const char*>(v.data.get()), static_cast<std::size_t>(v.size) * 4);
  };
  for (const Matrix* m : {&model.token_embedding, &model.head}) add_matrix(*m);
  for (const Vector* v : {&model.position_embedding, &model.ln_f_gain, &model.ln_f_bias}) {
    add_vector(*v);
  }
  for (const LayerWeights& w : model.layers) {
    for (const Matrix* m : {&w.attn_qkv, &w.attn_out, &w.mlp_in, &w.mlp_out}) add_matrix(*m);
    for (const Vector* v : {&w.ln_1_gain, &w.ln_1_bias, &w.attn_qkv_bias, &w.attn_out_bias,
                            &w.ln_2_gain, &w.ln_2_bias, &w.mlp_in_bias, &w.mlp_out_bias}) {
      add_vector(*v);
    }
  }
  return bytes;
}

class KeptWeights : public ::testing::TestWithParam<std::tuple<const char*, DType>> {
 protected:
  KeptWeights() {
    const std::string source = std::string(AIRA_TEST_DATA "/models/") + std::get<0>(GetParam());
    std::filesystem::copy(source, model_, std::filesystem::copy_options::recursive);
  }
  WeightCache cache(DType dtype = std::get<1>(GetParam())) {
    return {folder_.path("cache"), files_(), *backend_, dtype};
  }
  const ModelFiles& files_() {
    files = ModelFiles::from_folder(model_);
    return *files;
  }

  TemporaryFolder folder_;
  std::string model_ = folder_.path("model");
  std::optional<ModelFiles> files;
  ThreadPool pool_{2};
  std::unique_ptr<Backend> backend_ = make_cpu_backend(pool_);
};

TEST_P(KeptWeights, AreTheSameBytes) {
  WeightCache first = cache();
  const Model converted = first.load();
  EXPECT_FALSE(first.hit());
  ASSERT_EQ(first.keep(converted, always), "");
  WeightCache second = cache();
  const Model mapped = second.load();
  EXPECT_TRUE(second.hit());
  EXPECT_EQ(all_bytes(mapped, *backend_), all_bytes(converted, *backend_));
  EXPECT_EQ(mapped.head.data == mapped.token_embedding.data,
            converted.head.data == converted.token_embedding.data);
  EXPECT_EQ(mapped.config.layers, converted.config.layers);
}

TEST_P(KeptWeights, AreNotTakenForOtherFiles) {
  WeightCache first = cache();
  ASSERT_EQ(first.keep(first.load(), always), "");
  const auto weights = std::filesystem::path(model_) / "config.json";
  const auto time = std::filesystem::last_write_time(weights);
  std::filesystem::last_write_time(weights, time + std::chrono::seconds(1));
  WeightCache touched = cache();
  const Model again = touched.load();
  EXPECT_FALSE(touched.hit());
  EXPECT_EQ(touched.path(), first.path());  // which will be replaced
  ASSERT_EQ(touched.keep(again, always), "");
  WeightCache same = cache();
  same.load();
  EXPECT_TRUE(same.hit());
  const DType other = std::get<1>(GetParam()) == DType::kF32 ? DType::kF16 : DType::kF32;
  WeightCache another = cache(other);
  another.load();
  EXPECT_FALSE(another.hit());
  EXPECT_NE(another.path(), first.path());
}

TEST_P(KeptWeights, AreConvertedWhenTheFileIsBad) {
  WeightCache first = cache();
  const Model converted = first.load();
  ASSERT_EQ(first.keep(converted, always), "");
  std::filesystem::resize_file(first.path(), std::filesystem::file_size(first.path()) - 1);
  WeightCache second = cache();
  const Model again = second.load();
  EXPECT_FALSE(second.hit());
  EXPECT_EQ(all_bytes(again, *backend_), all_bytes(converted, *backend_));
  EXPECT_EQ(second.keep(again, always), "");  // repaired
  WeightCache third = cache();
  third.load();
  EXPECT_TRUE(third.hit());
}

INSTANTIATE_TEST_SUITE_P(Models, KeptWeights,
                         ::testing::Combine(::testing::Values("a", "b", "c", "d", "e"),
                                            ::testing::Values(DType::kF32, DType::kF16)),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param)) + "_" +
                                  name_of(std::get<1>(param.param));
                         });

TEST_F(Packed, DamageIsNoticed) {
  EXPECT_FALSE(hits());  // not there yet
  ASSERT_EQ(write(), "");
  EXPECT_TRUE(hits());
  const std::string good = read(path_);
  for (std::size_t at = 0; at < 150; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(hits_with(bad)) << at;
  }
  EXPECT_TRUE(hits_with(good));
  for (const std::size_t size :
       {good.size() - 1, good.size() / 2, std::size_t{100}, std::size_t{1}, std::size_t{0}}) {
    EXPECT_FALSE(hits_with(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(hits_with(good + "x"));
  EXPECT_FALSE(hits_with(std::string(1000, 'x')));
  WeightCache other = cache(AIRA_TEST_DATA "/models/a");
  folder_.write("cache/" + std::filesystem::path(other.path()).filename().string(), good);
  other.load();
  EXPECT_FALSE(other.hit());
}

TEST_F(Packed, WeightsOutliveTheFile) {
  ASSERT_EQ(write(), "");
  WeightCache second = cache();
  const Model mapped = second.load();
  ASSERT_TRUE(second.hit());
  const std::string before = all_bytes(mapped, *backend_);
  std::filesystem::remove(path_);
  EXPECT_EQ(all_bytes(mapped, *backend_), before);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapped.layers[0].mlp_in.data.get()) % 64, 0U);
}

/// A folder with a model whose embeddings are too large for one piece of writing.
void write_large_model(const TemporaryFolder& folder) {
  std::filesystem::create_directory(folder.path("large"));
  folder.write("large/config.json", R"({"model_type": "gpt2", "n_layer": 1, "n_embd": 8,
      "n_head": 1, "n_positions": 3, "vocab_size": 300001})");
  Model model;
  model.config = read_model_config(ModelFiles::from_folder(folder.path("large")));
  std::string header = "{";
  std::size_t end = 0;
  for (const Parameter& one : list_parameters(model, false)) {
    const std::size_t begin = end;
    end += static_cast<std::size_t>(one.stored.size()) * 4;
    header += (begin == 0 ? "\"" : ",\"") + one.stored.name + R"(":{"dtype":"F32","shape":)" +
              shape_text(one.stored.shape) + R"(,"data_offsets":[)" + std::to_string(begin) + "," +
              std::to_string(end) + "]}";
  }
  std::string data(end, '\0');
  for (std::size_t i = 0; i < end; i += 4) data[i + 1] = static_cast<char>(i / 4 % 251);
  folder.write("large/model.safetensors", safetensors(header + "}", data));
}

TEST_F(Packed, LargePartsComeBack) {
  write_large_model(folder_);
  WeightCache first = cache(folder_.path("large"));
  const Model converted = first.load();
  int pieces = 0;
  const auto once = [&] { return ++pieces <= 1; };
  EXPECT_EQ(first.keep(converted, once), "there was no time for it");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path("cache")));
  ASSERT_EQ(first.keep(converted, always), "");
  WeightCache second = cache(folder_.path("large"));
  EXPECT_EQ(all_bytes(second.load(), *backend_), all_bytes(converted, *backend_));
  EXPECT_TRUE(second.hit());
}

TEST_F(Packed, LostBlocksAreNoticed) {
  write_large_model(folder_);
  WeightCache first = cache(folder_.path("large"));
  ASSERT_EQ(first.keep(first.load(), always), "");
  const std::string good = read(first.path());
  const auto hits_large_with = [&](const std::string& content) {
    std::ofstream(first.path(), std::ios::binary) << content;
    WeightCache again = cache(folder_.path("large"));
    again.load();
    return again.hit();
  };
  for (const std::size_t at : {good.size() / 4, good.size() - 530'000}) {
    std::string bad = good;
    bad.replace(at, 525'000, 525'000, '\0');
    EXPECT_FALSE(hits_large_with(bad)) << at;
  }
  EXPECT_TRUE(hits_large_with(good));
}

TEST_F(Packed, SmallPartsCountWhole) {
  ASSERT_EQ(write(), "");
  std::string bad = read(path_);
  char& last = bad[bad.size() - 128];  // in the gain or bias of the last layer norm
  last = static_cast<char>(last ^ 1);
  EXPECT_FALSE(hits_with(bad));
}

TEST_F(Packed, AreNotKeptWhenTheModelHasChangedMeanwhile) {
  const std::string model = folder_.path("model");
  std::filesystem::copy(AIRA_TEST_DATA "/models/e", model);
  WeightCache one = cache(model);
  const Model loaded = one.load();
  std::filesystem::last_write_time(model + "/config.json", {});
  EXPECT_EQ(one.keep(loaded, always), "the model's files have changed meanwhile");
  EXPECT_FALSE(std::filesystem::exists(one.path()));
  WeightCache again = cache(model);
  EXPECT_EQ(again.keep(again.load(), always), "");
}

TEST_F(Packed, AModelThatIsWrittenToWhileItIsReadIsAnError) {
  const std::string weights = folder_.path("model/model.safetensors");
  std::filesystem::copy(AIRA_TEST_DATA "/models/e", folder_.path("model"));
  std::filesystem::last_write_time(weights, {});
  WeightCache one = cache(folder_.path("model"));  // opens the files
  std::fstream(weights, std::ios::in | std::ios::out | std::ios::ate).seekp(-4, std::ios::end)
      << "abcd";
  EXPECT_THAT(error_of([&] { one.load(); }),
              ::testing::AllOf(::testing::HasSubstr(weights),
                               ::testing::HasSubstr("was written to while it was read")));
}

TEST_F(Packed, OnlyRegularFilesAreOpened) {
  std::filesystem::create_directories(path_);
  EXPECT_FALSE(hits());
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(hits());
}

TEST_F(Packed, AReadOnlyPlaceIsTold) {
  const ModelFiles files = ModelFiles::from_folder(AIRA_TEST_DATA "/models/e");
  WeightCache nowhere("/proc/nothing", files, *backend_, DType::kF16);
  EXPECT_EQ(nowhere.keep(nowhere.load(), always), "No such file or directory");
  folder_.write("cache", "a file where the folder should be");
  EXPECT_EQ(write(), "Not a directory");
}

TEST_F(Packed, BreakingOffLeavesNothing) {
  EXPECT_EQ(write([] { return false; }), "there was no time for it");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path("cache")));
}

TEST_F(Packed, WhatTookTooLongIsRemembered) {
  EXPECT_FALSE(cache().was_given_up());
  cache().remember_given_up();
  EXPECT_TRUE(cache().was_given_up());
  EXPECT_FALSE(hits());
  // Another model's writer clears away what killed ones have left, and no more.
  const std::string killed = folder_.path("cache/other-f16.packed.unfinished");
  std::ofstream(killed) << "half of one";
  WeightCache other = cache(AIRA_TEST_DATA "/models/a");
  EXPECT_EQ(other.keep(other.load(), always), "");
  EXPECT_FALSE(std::filesystem::exists(killed));
  EXPECT_TRUE(cache().was_given_up());
  EXPECT_EQ(write(), "");
  EXPECT_FALSE(cache().was_given_up());
  EXPECT_TRUE(hits());
}

TEST_F(Packed, WhatTookTooLongOfAnotherVersionDoesNotCount) {
  const std::string copy = folder_.path("copy");
  std::filesystem::copy(AIRA_TEST_DATA "/models/e", copy);
  cache(copy).remember_given_up();
  EXPECT_TRUE(cache(copy).was_given_up());
  std::ofstream(copy + "/config.json", std::ios::app) << " ";
  EXPECT_FALSE(cache(copy).was_given_up());
}

TEST_F(Packed, AWriterAtWorkIsLeftAlone) {
  std::filesystem::create_directory(folder_.path("cache"));
  const std::string unfinished = path_ + ".unfinished";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_EQ(write(), "another process is writing it");
  EXPECT_FALSE(hits());
  ::close(fd);  // it died
  EXPECT_EQ(write(), "");
  EXPECT_TRUE(hits());
}

TEST_F(Packed, ManyWritersLeaveOneGoodFile) {
  WeightCache one = cache();
  const Model model = one.load();
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&] {
      for (int round = 0; round < 3; ++round) one.keep(model, always);
    });
  }
  bool torn = false;
  for (int i = 0; i < 200; ++i) torn = torn || (std::filesystem::exists(path_) && !hits());
  for (std::thread& writer : writers) writer.join();
  EXPECT_FALSE(torn);
  WeightCache second = cache();
  EXPECT_EQ(all_bytes(second.load(), *backend_), all_bytes(model, *backend_));
  EXPECT_TRUE(second.hit());
  EXPECT_FALSE(std::filesystem::exists(path_ + ".unfinished"));
}

TEST(WeightCache, KeepsNothingWithoutAPlaceOrFiles) {
  const ModelFiles folder = ModelFiles::from_folder(AIRA_TEST_DATA "/models/a");
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  TemporaryFolder place;
  WeightCache nowhere("", folder, *backend, DType::kF16);
  EXPECT_EQ(nowhere.path(), "");
  EXPECT_EQ(nowhere.keep(nowhere.load(), always), "");
  const ModelFiles memory =
      ModelFiles::from_memory("mem", [&](const std::string& name) { return folder.find(name); });
  WeightCache built_in(place.path(), memory, *backend, DType::kF16);
  EXPECT_EQ(built_in.path(), "");
  EXPECT_EQ(built_in.keep(built_in.load(), always), "");
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST(WeightCache, SnapshotsOfOneRepositoryShareAName) {
  TemporaryFolder folder;
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  std::vector<std::string> paths;
  for (const char* revision : {"models--x--y/snapshots/1", "models--x--y/snapshots/2", "z"}) {
    const std::string model = folder.path(revision);
    std::filesystem::create_directories(model);
    std::ofstream(model + "/config.json") << "{}";
    paths.push_back(
        WeightCache("cache", ModelFiles::from_folder(model), *backend, DType::kF16).path());
  }
  EXPECT_EQ(paths[0], paths[1]);
  EXPECT_THAT(paths[0], ::testing::HasSubstr("models--x--y-"));
  EXPECT_NE(paths[0], paths[2]);
}

}  // namespace
}  // namespace aira
