// One question's answers by sampling. The prompt is computed once; each answer is a branch that
// goes on from it with a random stream of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "run/answer_text.h"
#include "run/loop_guard.h"
#include "run/task.h"

namespace aira {

class AnswerTask final : public Task {
 public:
  AnswerTask(GenerateRequest request, Listener listener, const TaskContext& context);

  void advance(Sequences& sequences) override;
  Want want(const Sequence& sequence, std::int64_t position) const override;
  void accept(Sequence& sequence, std::int64_t position, Outcome outcome,
              Sequences& sequences) override;
  void cancel() override;

 private:
  /// An answer being written.
  struct Branch {
    explicit Branch(const std::vector<std::string>& stops) : text(stops) {}

    std::size_t number = 0;
    Sequence* sequence = nullptr;
    AnswerText text;
    LoopGuard guard;
    Answer answer;
    std::chrono::steady_clock::time_point first_token;
    bool ended = false;
  };

  Branch& branch_of(const Sequence& sequence) const;
  void send(const Branch& branch, const std::string& text) const;
  void end(Branch& branch, FinishReason finish);
  void deliver();

  GenerateRequest request_;
  const TaskContext& context_;
  std::chrono::steady_clock::time_point started_ = {};
  std::size_t count_;      // answers to write
  std::size_t begun_ = 0;  // answers begun so far
  std::int64_t limit_;     // tokens of an answer
  std::vector<std::string> stops_;
  std::vector<std::unique_ptr<Branch>> branches_;
  std::map<std::size_t, Answer> ended_;  // complete, not delivered yet, by number
  std::size_t delivered_ = 0;
};

/// Tokens that an answer may have.
std::int64_t token_limit(const GenerateRequest& request, const TaskContext& context);
/// Texts that end an answer.
std::vector<std::string> stop_texts(const GenerateRequest& request, const TaskContext& context);

}  // namespace aira
