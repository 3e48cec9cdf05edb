// What the tokenizer's tests share: test data by name, and tokenizers loaded from files in memory.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aira/error.h"
#include "aira/model_files.h"
#include "aira/tokenizer.h"

namespace aira {

using FileMap = std::map<std::string, std::string>;  // name -> content

inline std::string data_path(const std::string& name) {
  return std::string(AIRA_TEST_DATA) + "/tokenizer/" + name;
}

inline std::string read_data(const std::string& name) {
  std::ifstream file(data_path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The named files of tests/data/tokenizer/small.
inline FileMap small_files(const std::vector<std::string>& names) {
  FileMap files;
  for (const std::string& name : names) files[name] = read_data("small/" + name);
  return files;
}

inline Tokenizer load_files(const FileMap& files) {
  return Tokenizer::load(
      ModelFiles::from_memory("memory", [files](const std::string& name) -> std::optional<File> {
        const auto found = files.find(name);
        if (found == files.end()) return std::nullopt;
        // A copy of exactly this size, so that a sanitizer sees a read past the end.
        const std::size_t size = found->second.size();
        std::shared_ptr<std::byte[]> data(new std::byte[size]);
        std::copy_n(reinterpret_cast<const std::byte*>(found->second.data()), size, data.get());
        return File{"memory/" + name, {data, data.get()}, size};
      }));
}

/// Nothing when there is no such folder.
inline std::optional<Tokenizer> load_folder(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return std::nullopt;
  return Tokenizer::load(ModelFiles::from_folder(path));
}

/// The sentence that loading `files` fails with; empty when it succeeds.
inline std::string failure(const FileMap& files) {
  try {
    load_files(files);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

/// Loading must fail with one sentence that has both parts.
inline void expect_sentence(const FileMap& files, const std::string& file,
                            const std::string& cause) {
  const std::string sentence = failure(files);
  EXPECT_THAT(sentence, testing::HasSubstr(file));
  EXPECT_THAT(sentence, testing::HasSubstr(cause));
  EXPECT_THAT(sentence, testing::EndsWith("."));
  EXPECT_EQ(sentence.find('\n'), std::string::npos);
}

}  // namespace aira
