// The ways of using the program, one file each. Every function returns the exit code: 0 done,
// 1 something failed (already told on stderr), 130 interrupted. What ends the work is thrown.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "aira/error.h"
#include "app/options.h"

namespace aira {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kInterrupted = 130;

int run_one_shot(const Options& options);
int run_chat(const Options& options);
int run_pipe(const Options& options);
int run_json_lines(const Options& options);
int run_tokenize(const Options& options);
int run_score(const Options& options);
int run_info(const Options& options);
int run_bench(const Options& options);

/// Does `work`; the sentence of the Error that it throws, if it does. For input that must not end
/// the program: one line among many, one turn of a chat.
std::optional<std::string> problem_in(const std::function<void()>& work);

}  // namespace aira
