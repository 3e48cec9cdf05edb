// What AIRA_CUDA_* switches off changes no bit: decode steps launched kernel by kernel, as graphs,
// as graphs whose kernels start early, and by the other linear kernels. On a GPU AIRA_TEST_MODEL
// may name the folder of a larger model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <list>

#include "aira/error.h"
#include "backends.h"
#include "byte_model.h"
#include "model/model.h"

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

/// A variable of the environment for as long as this lives.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_.c_str()); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
};

/// Logits of all rows in steps that run directly, are recorded and are replayed, and the ids and
/// log-probabilities drawn in as many more.
struct Results {
  std::vector<float> logits;
  Ids ids;
  std::vector<float> logprobs;
};

class CudaSwitches : public testing::TestWithParam<TestBackend> {
 protected:
  static ModelFiles files() {
    const char* folder = std::getenv("AIRA_TEST_MODEL");
    return ModelFiles::from_folder(folder != nullptr ? folder : byte_model_folder());
  }
  CudaSwitches() : host_(GetParam().shares > 1), steps_(host_ ? 3 : 8) {}

  /// Sequences of different tokens; `switched` are the switches to turn off.
  Results decode(const std::vector<std::string>& switched, DType dtype, std::int32_t sequences) {
    std::list<Variable> variables;
    for (const std::string& name : switched) variables.emplace_back("AIRA_CUDA_" + name, "off");
    const std::unique_ptr<Backend> backend = GetParam().make(pool_);
    const Model model = Model::load(files(), *backend, dtype);
    Session session(
        model, *backend,
        {.slots = sequences, .context = 64, .rows = sequences, .output_rows = sequences});
    Ids all(static_cast<std::size_t>(sequences));
    Ids pages(2 * all.size());
    std::vector<Row> rows(all.size());
    for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::int32_t>(i);
    Results results;
    for (std::int32_t p = 0; p < 2 * steps_; ++p) {
      for (std::int32_t s = 0; s < sequences; ++s) {
        const auto at = static_cast<std::size_t>(s);
        all[at] = s;
        const auto token = static_cast<std::int32_t>((37 * p + 11 * s) % model.config.vocab);
        rows[at] = {p > steps_ ? kDrawnToken : token, s, p};
      }
      if (p < steps_) {
        const auto logits = session.forward(rows, all, {pages, 2});
        results.logits.insert(results.logits.end(), logits.begin(), logits.end());
        continue;
      }
      const std::vector<DeviceDraw> draws(all.size(), {.temperature = 1,
                                                       .top_p = 0.9,
                                                       .uniform = 0.5,
                                                       .penalty = 1.2F,
                                                       .top_k = 30,
                                                       .log_probability = true});
      session.launch(rows, all, {pages, 2}, draws);
      for (const DrawnToken& token : session.drawn()) {
        results.ids.push_back(token.id);
        results.logprobs.push_back(token.log_probability);
      }
    }
    return results;
  }

  ThreadPool pool_{1};
  bool host_;  // slow
  std::int32_t steps_;
};

TEST_P(CudaSwitches, ChangeNoBit) {
  const std::vector<DType> types = types_of(GetParam());
  if (types.empty()) GTEST_SKIP() << "other orders take the types";
  for (const DType dtype : types) {
    for (const std::int32_t sequences :
         host_ ? std::vector<std::int32_t>{1, 5} : std::vector<std::int32_t>{1, 8, 16}) {
      const Results expected = decode({}, dtype, sequences);
      for (const std::vector<std::string>& off :
           std::vector<std::vector<std::string>>{{"GRAPH"}, {"PDL"}, {"FEW"}, {"FEW", "WGMMA"}}) {
        SCOPED_TRACE(testing::Message() << name_of(dtype) << ", " << sequences << " sequences, "
                                        << testing::PrintToString(off) << " off");
        const Results got = decode(off, dtype, sequences);
        EXPECT_TRUE(got.logits == expected.logits);
        EXPECT_EQ(got.ids, expected.ids);
        EXPECT_EQ(got.logprobs, expected.logprobs);
      }
    }
  }
}

TEST_P(CudaSwitches, AreOnOrOff) {
  const Variable variable("AIRA_CUDA_PDL", "of");
  EXPECT_EQ(error_of([&] { GetParam().make(pool_); }),
            "AIRA_CUDA_PDL is \"of\"; it must be on or off.");
}

/// What stderr says of the graphs of one sequence, with a switch off.
TEST_P(CudaSwitches, TellWhatIsRecorded) {
  if (!GetParam().takes(0)) GTEST_SKIP() << "one order of execution is enough";
  const Variable nodes("AIRA_CUDA_NODES", "on");
  const auto said = [&](const std::vector<std::string>& switched) {
    testing::internal::CaptureStderr();
    decode(switched, DType::kF16, 1);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said({"GRAPH"}), "");
  EXPECT_THAT(said({"PDL"}), testing::HasSubstr(", programmatic 0\n"));
  // Nothing but kernels, and each but the first may start before its predecessor has ended.
  const std::string usual = said({});
  int kernels = 0;
  ASSERT_EQ(std::sscanf(usual.c_str(), "graph: rows 1, nodes %*d, kernels %d", &kernels), 1)
      << usual;
  EXPECT_GT(kernels, 5);
  const std::string all = std::to_string(kernels);
  // A GPU that starts none early has an architecture before 9.0.
  const bool none = !host_ && usual.find("programmatic 0\n") != std::string::npos;
  const std::string others = std::to_string(kernels - 1);
  EXPECT_THAT(usual, testing::HasSubstr("rows 1, nodes " + all + ", kernels " + all + ", edges " +
                                        others + ", programmatic " + (none ? "0" : others) + "\n"));
}

INSTANTIATE_TEST_SUITE_P(Every, CudaSwitches, testing::ValuesIn(test_backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace aira
