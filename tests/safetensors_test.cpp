// Hostile and odd safetensors files: each gives tensors or one sentence, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <random>

#include "model/checkpoint.h"
#include "model_fixtures.h"

namespace aira {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// "s" may have any type.
std::vector<HostTensor> read(const std::string& content) {
  return read_safetensors(memory_file("dir/model.safetensors", content),
                          [](const std::string& name) { return name == "s"; });
}

/// {"NAME": {"dtype": "F32", "shape": SHAPE, "data_offsets": OFFSETS}}
std::string one(const std::string& shape, const std::string& offsets,
                const std::string& dtype = "\"F32\"") {
  return "{\"t\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}}";
}

std::string bytes(std::size_t count) { return std::string(count, 'x'); }

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirData) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},)"
                             R"("a":{"shape":[2,1],"data_offsets":[6,14],"dtype":"F32"},)"
                             R"("s":{"dtype":"BOOL","shape":[],"data_offsets":[14,15]}}   )";
  const auto tensors = read(safetensors(header, bytes(15)));
  ASSERT_EQ(tensors.size(), 2U);
  EXPECT_EQ(tensors[0].name, "b");
  EXPECT_EQ(tensors[0].dtype, DType::kBF16);
  EXPECT_EQ(tensors[0].bytes, 6U);
  EXPECT_EQ(tensors[1].name, "a");
  EXPECT_EQ(tensors[1].file, "dir/model.safetensors");
  EXPECT_THAT(tensors[1].shape, ElementsAre(2, 1));
  EXPECT_EQ(tensors[1].data.get() - tensors[0].data.get(), 6);
}

TEST(Safetensors, NoTensorsAreAllowed) { EXPECT_TRUE(read(safetensors("{}", "")).empty()); }

TEST(Safetensors, EmptyTensorsLieBetweenOthers) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                             R"("e":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]},)"
                             R"("s":{"dtype":"F4","shape":[2],"data_offsets":[8,9]}})";
  const auto tensors = read(safetensors(header, bytes(9)));
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[1].name, "e");
  EXPECT_THAT(tensors[1].shape, ElementsAre(3, 0));
  EXPECT_EQ(tensors[1].bytes, 0U);
}

TEST(Safetensors, MetadataIsAMapOfStrings) {
  for (const char* good : {"{}", "null", R"({"a":"b","":""})"}) {
    EXPECT_EQ(
        error_of([&] { read(safetensors(R"({"__metadata__":)" + std::string(good) + "}", "")); }),
        "");
  }
  for (const char* bad :
       {"[]", "1", "\"pt\"", R"({"a":1})", R"({"a":null})", R"({"a":"b","c":{}})"}) {
    EXPECT_THAT(
        error_of([&] { read(safetensors(R"({"__metadata__":)" + std::string(bad) + "}", "")); }),
        HasSubstr("__metadata__ that is no object of strings"));
  }
}

struct Hostile {
  const char* name;
  std::string content;
  const char* cause;
};

std::vector<Hostile> bad_lengths() {
  const std::string good = safetensors(one("[1]", "[0,4]"), bytes(4));
  std::string beyond = good;
  beyond[0] = static_cast<char>(0xFF);
  std::string huge = good;
  for (std::size_t i = 0; i < 8; ++i) huge[i] = static_cast<char>(0xFF);
  std::string wraps = good;  // length + 8 overflows to a small number
  for (std::size_t i = 0; i < 8; ++i) wraps[i] = static_cast<char>(i == 0 ? 0xF9 : 0xFF);
  return {
      {"empty", "", "too short"},
      {"seven bytes", bytes(7), "too short"},
      {"only a length", safetensors("", ""), "its header is not a JSON object"},
      {"length beyond the file", beyond, "but ends after"},
      {"length of 2^64-1", huge, "header of 18446744073709551615 bytes"},
      {"length that wraps", wraps, "header of 18446744073709551609 bytes"},
      {"cut in the header", good.substr(0, 20), "but ends after 20 bytes"},
      {"cut in the data", good.substr(0, good.size() - 1), "which has 3 bytes"},
      {"git lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"},
      {"zip (a pickle)", "PK\x03\x04" + bytes(100), "header of"},
  };
}

std::vector<Hostile> bad_headers() {
  return {
      {"not json", safetensors("{t}", ""), "not valid JSON"},
      {"a list", safetensors("[]", ""), "not a JSON object"},
      {"leading space", safetensors(" {}", ""), "not a JSON object"},
      {"two objects", safetensors("{}{}", ""), "not valid JSON"},
      {"bad utf-8", safetensors("{\"\xff\":1}", ""), "not valid UTF-8"},
      {"same name twice",
       safetensors(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                   R"("t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                   bytes(8)),
       "\"t\" twice"},
      {"same key twice", safetensors(R"({"t":{"dtype":"F32","dtype":"F32"}})", ""),
       "\"dtype\" twice"},
      {"entry is a number", safetensors(R"({"t":7})", ""), "must be a JSON object, but is 7"},
      {"entry is null", safetensors(R"({"t":null})", ""), "must be a JSON object, but is null"},
      {"no dtype", safetensors(R"({"t":{"shape":[1],"data_offsets":[0,4]}})", bytes(4)),
       "\"dtype\" must be"},
      {"no shape", safetensors(R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", bytes(4)),
       "\"shape\" must be"},
      {"no offsets", safetensors(R"({"t":{"dtype":"F32","shape":[1]}})", bytes(4)),
       "\"data_offsets\" must be"},
  };
}

std::vector<Hostile> bad_shapes() {
  const auto shaped = [](const std::string& shape) {
    return safetensors(one(shape, "[0,4]"), bytes(4));
  };
  return {
      {"unknown dtype", safetensors(one("[1]", "[0,4]", "\"F13\""), bytes(4)), "but is \"F13\""},
      {"sub-byte dtype", safetensors(one("[8]", "[0,4]", "\"F4\""), bytes(4)), "has dtype F4, but"},
      {"dtype is a number", safetensors(one("[1]", "[0,4]", "32"), bytes(4)), "but is 32"},
      {"shape is a number", shaped("1"), "\"shape\" must be a list"},
      {"shape of text", shaped(R"(["1"])"), "\"shape\" must be"},
      {"negative dimension", shaped("[-1]"), "but is -1"},
      {"fraction", shaped("[1.0]"), "but is 1.0"},
      {"negative zero", shaped("[-0]"), "\"shape\" must be a list of whole numbers"},
      {"zero dimension", shaped("[0]"), "has 4 bytes of data, but dtype F32 and shape [0] need 0"},
      {"zero behind too much", shaped("[4611686018427387904, 4, 0]"), "impossible shape"},
      {"dimension above int64", shaped("[9223372036854775808]"), "but is 9223372036854775808"},
      {"size overflows", shaped("[9223372036854775807]"), "impossible shape"},
      {"size wraps to 4", shaped("[4294967297, 4294967296, 4294967296]"), "impossible shape"},
      {"product wraps to 0", shaped("[4294967296, 4294967296]"), "impossible shape"},
      {"huge but representable", shaped("[1000000000000]"), "need 4000000000000"},
      {"too few bytes", shaped("[2]"), "has 4 bytes of data, but dtype F32 and shape [2] need 8"},
      {"too many bytes", safetensors(one("[1]", "[0,8]"), bytes(8)), "need 4"},
      {"half a number", safetensors(one("[1]", "[0,3]"), bytes(3)), "has 3 bytes"},
      {"dtype and size disagree", safetensors(one("[1]", "[0,4]", "\"F16\""), bytes(4)), "need 2"},
      {"scalar of no bytes", safetensors(one("[]", "[0,0]"), ""), "need 4"},
  };
}

std::vector<Hostile> bad_offsets() {
  const auto at = [](const std::string& offsets) {
    return safetensors(one("[1]", offsets), bytes(4));
  };
  const auto two = [](const std::string& a, const std::string& b, std::size_t size) {
    return safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
                           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}",
                       bytes(size));
  };
  return {
      {"offsets are a number", at("4"), "\"data_offsets\" must be a list of two"},
      {"one offset", at("[4]"), "\"data_offsets\" must be a list of two"},
      {"three offsets", at("[0,2,4]"), "\"data_offsets\" must be a list of two"},
      {"negative offset", at("[-4,0]"), "\"data_offsets\" must be a list of two"},
      {"text", at(R"(["0","4"])"), "\"data_offsets\" must be a list of two"},
      {"fractions", at("[0.0,4.0]"), "\"data_offsets\" must be a list of two"},
      {"beyond uint64", at("[0,18446744073709551620]"), "\"data_offsets\" must be a list of two"},
      {"reversed", at("[4,0]"), "lies from byte 4 to 0"},
      {"end beyond the file", at("[0,5]"), "which has 4 bytes"},
      {"both beyond the file", at("[4,8]"), "which has 4 bytes"},
      {"at the end of uint64", at("[18446744073709551611,18446744073709551615]"),
       "which has 4 bytes"},
      {"overlap", two("[0,4]", "[2,6]", 6), "overlaps another tensor"},
      {"the same bytes", two("[0,4]", "[0,4]", 4), "overlaps another tensor"},
      {"hole at the start", two("[4,8]", "[8,12]", 12), "4 bytes that belong to no tensor before"},
      {"hole between", two("[0,4]", "[5,9]", 9), "1 bytes that belong to no tensor before"},
      {"hole at the end", two("[0,4]", "[4,8]", 9), "1 bytes that belong to no tensor at its end"},
      {"data without tensors", safetensors("{}", "x"), "at its end"},
  };
}

void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

class HostileFile : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileFile, IsRefusedInOneSentence) {
  EXPECT_THAT(error_of([&] { read(GetParam().content); }),
              AllOf(HasSubstr("dir/model.safetensors"), HasSubstr(GetParam().cause), EndsWith("."),
                    Not(HasSubstr("\n"))));
}

INSTANTIATE_TEST_SUITE_P(Lengths, HostileFile, ::testing::ValuesIn(bad_lengths()));
INSTANTIATE_TEST_SUITE_P(Headers, HostileFile, ::testing::ValuesIn(bad_headers()));
INSTANTIATE_TEST_SUITE_P(Shapes, HostileFile, ::testing::ValuesIn(bad_shapes()));
INSTANTIATE_TEST_SUITE_P(Offsets, HostileFile, ::testing::ValuesIn(bad_offsets()));

TEST(Safetensors, DeepHeadersAreRefused) {
  std::string header = R"({"t":)";
  for (int i = 0; i < 100000; ++i) header += "[";
  EXPECT_THAT(error_of([&] { read(safetensors(header, "")); }),
              AllOf(HasSubstr("dir/model.safetensors"), HasSubstr("nested deeper"), EndsWith(".")));
}

TEST(Safetensors, NamesInMessagesCannotControlATerminal) {
  const std::string header =
      "{\"\\u001b[31m\\nred\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9]}}";
  EXPECT_THAT(error_of([&] { read(safetensors(header, bytes(4))); }),
              AllOf(HasSubstr("\\x1b[31m\\x0ared"), Not(HasSubstr("\x1b"))));
}

// -- Mutations of valid files: they load, or they throw Error, and nothing else happens. --

std::string mutated(std::string content, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::size_t kind = below(8);
  if (kind == 0) {
    content.resize(below(content.size() + 1));
  } else if (kind == 1) {
    content.insert(below(content.size() + 1), 1 + below(9), static_cast<char>(below(256)));
  } else {
    const bool in_header = kind < 7;  // where a change is worth most
    const std::size_t span =
        in_header ? std::min<std::size_t>(content.size(), 700) : content.size();
    constexpr std::string_view kTelling = "0123456789-[]{},:\"eE.\\\xff";
    for (std::size_t i = 0; i < 1 + below(3); ++i) {
      const std::size_t at = below(span);
      content[at] = kind < 5 ? kTelling[below(kTelling.size())]
                             : static_cast<char>(content[at] ^ (1U << below(8)));
    }
  }
  return content;
}

/// Reads every byte that an opened checkpoint offers, so that AddressSanitizer checks them.
unsigned touch(const Checkpoint& checkpoint) {
  unsigned sum = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    std::int64_t size = size_of(tensor.dtype);
    for (const std::int64_t dimension : tensor.shape) size *= dimension;
    for (std::int64_t i = 0; i < size; ++i) {
      sum += std::to_integer<unsigned>(tensor.data.get()[i]);
    }
  }
  return sum;
}

TEST(SafetensorsFuzz, MutationsLoadOrThrowError) {
  const std::string valid = safetensors(
      R"({"__metadata__":{"format":"pt"},)"
      R"("transformer.wte.weight":{"dtype":"F32","shape":[5,3],"data_offsets":[0,60]},)"
      R"("transformer.h.0.attn.bias":{"dtype":"BOOL","shape":[1,1,2,2],"data_offsets":[60,64]},)"
      R"("transformer.h.0.ln_1.bias":{"dtype":"BF16","shape":[3],"data_offsets":[64,70]},)"
      R"("lm_head.weight":{"dtype":"F16","shape":[5,3],"data_offsets":[70,100]}})",
      bytes(100));
  std::mt19937 random(1);
  int loaded = 0;
  int refused = 0;
  unsigned sum = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string content = mutated(valid, random);
    try {
      sum += touch(Checkpoint::open(memory_files({{"model.safetensors", content}})));
      ++loaded;
    } catch (const Error& error) {
      ASSERT_THAT(error.what(), AllOf(HasSubstr("mem/model.safetensors"), EndsWith(".")));
      ++refused;
    }
  }
  EXPECT_GT(loaded, 1000);
  EXPECT_GT(refused, 5000);
  EXPECT_GT(sum, 0U);
}

}  // namespace
}  // namespace aira
