// Model folders for tests: in memory (each file in a heap block of exactly its size, so that
// AddressSanitizer sees a read beyond it) or in a temporary folder.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "aira/error.h"
#include "aira/model_files.h"

namespace aira {

inline File memory_file(const std::string& path, const std::string& content) {
  const std::shared_ptr<std::byte[]> bytes(new std::byte[content.size()]);
  if (!content.empty()) std::memcpy(bytes.get(), content.data(), content.size());
  return {path, {bytes, bytes.get()}, content.size()};
}

/// A folder "mem" that holds `contents` (name to bytes).
inline ModelFiles memory_files(std::map<std::string, std::string> contents) {
  return ModelFiles::from_memory(
      "mem", [contents = std::move(contents)](const std::string& name) -> std::optional<File> {
        const auto found = contents.find(name);
        if (found == contents.end()) return std::nullopt;
        return memory_file("mem/" + name, found->second);
      });
}

/// A small valid config.json, changed by the keys of `change`.
inline std::string small_config(const std::string& change) {
  nlohmann::json all = {{"model_type", "gpt2"}, {"n_layer", 2}, {"n_embd", 12}, {"n_head", 3}};
  all.update(nlohmann::json::parse(change));
  return all.dump();
}

/// A safetensors file of this header and data, well-formed or not.
inline std::string safetensors(const std::string& header, const std::string& data) {
  std::string file;
  for (unsigned i = 0; i < 8; ++i) {
    file += static_cast<char>(static_cast<std::uint64_t>(header.size()) >> 8U * i);
  }
  return file + header + data;
}

/// The sentence of the Error that `action` throws; empty when it throws none.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "aira-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(const std::string& name = "") const { return (path_ / name).string(); }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace aira
