// The packed file of a small model, for tests of what is kept and what is taken.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <list>
#include <sstream>
#include <string>

#include "cpu/cpu_backend.h"
#include "model/weight_cache.h"
#include "model_fixtures.h"

namespace aira {

inline bool always() { return true; }

inline std::string read(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

/// The packed file of a small model in a folder of its own.
class Packed : public ::testing::Test {
 protected:
  WeightCache cache(const std::string& model = AIRA_TEST_DATA "/models/e") {
    files_.push_back(ModelFiles::from_folder(model));
    return {folder_.path("cache"), files_.back(), *backend_, DType::kF32};
  }
  std::string write(const std::function<bool()>& go_on = always) {
    WeightCache one = cache();
    return one.keep(one.load(), go_on);
  }
  bool hits() {
    WeightCache one = cache();
    one.load();
    return one.hit();
  }
  /// Whether a file of this content is taken.
  bool hits_with(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return hits();
  }

  TemporaryFolder folder_;
  std::list<ModelFiles> files_;
  ThreadPool pool_{1};
  std::unique_ptr<Backend> backend_ = make_cpu_backend(pool_);
  std::string path_ = cache().path();
};

}  // namespace aira
