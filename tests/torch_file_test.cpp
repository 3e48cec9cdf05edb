// Files of torch.save (tools/goldens/weights.py), and what became of them: damaged and hostile ones
// give tensors or one sentence, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/pickle.h"
#include "model/zip_archive.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kFolder = AIRA_TEST_DATA "/weights/";

std::string content(const std::string& name) {
  std::stringstream stream;
  stream << std::ifstream(kFolder + "torch/" + name, std::ios::binary).rdbuf();
  return stream.str();
}

bool is_mask(const std::string& name) { return name == "h.0.attn.bias"; }

/// Every tensor's shape and numbers by its name.
std::map<std::string, std::pair<std::vector<std::int64_t>, std::vector<float>>> values(
    const std::vector<HostTensor>& tensors) {
  std::map<std::string, std::pair<std::vector<std::int64_t>, std::vector<float>>> all;
  for (const HostTensor& tensor : tensors) {
    const HostTensor wide = as_f32(tensor);
    all[tensor.name] = {tensor.shape, {numbers(wide), numbers(wide) + wide.size()}};
  }
  return all;
}

class TorchFile : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchFile, HoldsTheNumbersOfTheSafetensors) {
  auto expected = values(read_safetensors(
      ModelFiles::from_folder(kFolder + "base").require("model.safetensors"), is_mask));
  expected["lm_head.weight"] = expected["transformer.wte.weight"];
  const std::vector<HostTensor> tensors =
      read_torch_file(memory_file("dir/" + std::string(GetParam()), content(GetParam())), is_mask);
  EXPECT_EQ(values(tensors), expected);
}

INSTANTIATE_TEST_SUITE_P(All, TorchFile,
                         ::testing::Values("pytorch_model.bin", "strided.bin", "views.bin",
                                           "double.bin"),
                         [](const auto& param) {
                           const std::string name = param.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(TorchFiles, AreUsedWhereTheyLie) {
  const File file = memory_file("f", content("pytorch_model.bin"));
  for (const HostTensor& tensor : read_torch_file(file, is_mask)) {
    EXPECT_GE(tensor.data.get(), file.data.get()) << tensor.name;
    EXPECT_LE(tensor.data.get() + tensor.bytes, file.data.get() + file.size) << tensor.name;
  }
}

TEST(TorchFiles, AreTheLastChoiceOfAFolder) {
  const std::string single = content("pytorch_model.bin");
  const Checkpoint checkpoint = Checkpoint::open(memory_files({{"pytorch_model.bin", single}}));
  EXPECT_EQ(checkpoint.get("wpe.weight", {12, 12}).file, "mem/pytorch_model.bin");
  EXPECT_EQ(checkpoint.get("lm_head.weight", {61, 12}).data,
            checkpoint.get("wte.weight", {61, 12}).data);
  const std::string index = R"({"weight_map": {"wpe.weight": "pytorch_model-1.bin"}})";
  const std::map<std::string, std::string> sharded = {
      {"pytorch_model.bin.index.json", index}, {"pytorch_model-1.bin", content("small.bin")}};
  EXPECT_EQ(Checkpoint::open(memory_files(sharded)).get("wpe.weight", {12, 12}).file,
            "mem/pytorch_model-1.bin");
  EXPECT_THAT(Checkpoint::file_names(memory_files(sharded)), ElementsAre("pytorch_model-1.bin"));
  const std::string other =
      safetensors(R"({"wte.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd");
  EXPECT_EQ(
      Checkpoint::open(memory_files({{"pytorch_model.bin", single}, {"model.safetensors", other}}))
          .tensors()
          .size(),
      1U);
}

std::string refusal(const std::string& bytes) {
  return error_of([&] { read_torch_file(memory_file("dir/pytorch_model.bin", bytes), is_mask); });
}

TEST(TorchFiles, WhatIsNoStateDictIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"old.bin",
       "is not in the format that torch.save writes since torch 1.6; convert it once, in "
       "its folder: python3 -c \"import torch; f = 'pytorch_model.bin'; torch.save("},
      {"nested.bin", "tensor \"epoch\" is no tensor; only a state dict is read"},
      {"module.bin", "asks for \"torch.nn.modules.linear.Linear\""},
  };
  for (const auto& [name, sentence] : cases) {
    EXPECT_THAT(refusal(content(name)),
                AllOf(StartsWith("dir/pytorch_model.bin"), HasSubstr(sentence), EndsWith(".")));
  }
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(refusal("PK"), HasSubstr("is no zip archive"));
}

TEST(TorchFiles, CutOffAnywhereTheyAreRefused) {
  const std::string good = content("small.bin");
  ASSERT_EQ(refusal(good), "");
  for (std::size_t size = 0; size < good.size(); ++size) {
    ASSERT_THAT(refusal(good.substr(0, size)),
                AllOf(StartsWith("dir/pytorch_model.bin"), EndsWith(".")))
        << size;
  }
}

TEST(TorchFiles, DamagedAnywhereTheyLoadOrThrowError) {
  const std::string good = content("small.bin");
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string bad = good;
    for (int changes = 0; changes <= i % 3; ++changes) {
      const std::size_t at = random() % bad.size();
      constexpr unsigned char kTelling[] = {0, 1, 0x7F, 0x80, 0xFF};
      bad[at] = static_cast<char>(i % 2 == 0 ? random() % 256 : kTelling[random() % 5]);
    }
    const std::string message = refusal(bad);
    if (message.empty()) continue;
    ASSERT_THAT(message, AllOf(StartsWith("dir/"), EndsWith(".")));
  }
}

// -- The pickle machine alone. --

using std::string_literals::operator""s;

/// Nine floats in the file "0".
const std::string kStorage =
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
    "0X\3\0\0\0cpuK\x09tQ"s;

/// {"w": a tensor}, whose storage, offset, shape and strides `arguments` push.
std::string dictionary(const std::string& arguments) {
  return "\x80\2}X\1\0\0\0w"s + "ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + "\x89}tRs.";
}

TEST(Pickle, ReadsATensor) {
  const auto tensors = read_pickle(dictionary(kStorage + "K\1K\2K\3\x86K\3K\1\x86"), "f");
  ASSERT_EQ(tensors.size(), 1U);
  EXPECT_EQ(tensors[0].name, "w");
  EXPECT_EQ(tensors[0].storage_type, "FloatStorage");
  EXPECT_EQ(tensors[0].storage, "0");
  EXPECT_EQ(tensors[0].storage_size, 9);
  EXPECT_EQ(tensors[0].offset, 1);
  EXPECT_THAT(tensors[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(tensors[0].strides, ElementsAre(3, 1));
}

TEST(Pickle, RefusesEverythingElse) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is cut off"},
      {".", "takes more than it has"},
      {"N.", "holds no dictionary of tensors"},
      {"cos\nsystem\n", "asks for \"os.system\""},
      {"cbuiltins\neval\n", "asks for \"builtins.eval\""},
      {"ctorch\nload\n", "asks for \"torch.load\""},
      {"ctorch.storage\nUntypedStorage\n", "asks for \"torch.storage.UntypedStorage\""},
      {"c", "is cut off"},
      {"cos\n", "is cut off"},
      {"i", "has the unexpected instruction \"i\""},
      {"\x95", "has the unexpected instruction"},
      {"h\1", "recalls what it never kept"},
      {"NNs.", "takes more than it has"},
      {"NNNs.", "adds to what is no list or dictionary"},
      {"}(Nu.", "adds to what is no list or dictionary"},
      {"}NNs.", "whose name is no text"},
      {"t", "takes more than it has"},
      {"NNR", "makes a call that builds no tensor"},
      {"ccollections\nOrderedDict\nK\1\x85R", "makes a call that builds no tensor"},
      {"NQ", "describes a storage in an unknown way"},
      {"\x8a\x09"
       "123456789",
       "holds a number that is too large"},
      {dictionary(kStorage + "K\1N\x85K\1\x85"), "impossible shape"},
      {dictionary(kStorage + "K\1K\1\x85)"), "impossible shape"},
      {dictionary(kStorage + "\x8a\1\xFFK\1\x85K\1\x85"), "impossible shape"},
      {dictionary("NK\1K\1\x85K\1\x85"), "makes a call that builds no tensor"},
  };
  for (const auto& [program, cause] : cases) {
    EXPECT_THAT(error_of([&] { read_pickle(program, "f"); }),
                AllOf(StartsWith("f"), HasSubstr(cause), EndsWith(".")))
        << program;
  }
}

TEST(Pickle, CyclesAndDepthDoNoHarm) {
  EXPECT_THAT(error_of([] { read_pickle("}q\1X\1\0\0\0ah\1s."s, "f"); }),
              HasSubstr("tensor \"a\" is no tensor"));
  std::string deep = "]";
  for (int i = 0; i < 1000000; ++i) deep += "]a";
  EXPECT_THAT(error_of([&] { read_pickle(deep + ".", "f"); }), HasSubstr("no dictionary"));
  EXPECT_THAT(error_of([&] { read_pickle("]q\1h\1h\1aa.", "f"); }), HasSubstr("no dictionary"));
  EXPECT_THAT(error_of([] { read_pickle(std::string(16'000'001, 'N'), "f"); }),
              HasSubstr("too many tensors"));
}

}  // namespace
}  // namespace aira
