// Usage lines and examples of each command.
#include "app/usage.h"

namespace aira {

std::string usage(Command command) {
  switch (command) {
    case Command::kAsk:
      return R"(aira-cli [options] [QUESTION]     answer one question
aira-cli [options]                chat on a terminal; else one question per line of stdin
aira-cli [options] -f FILE        one question per line of FILE
aira-cli COMMAND --help           tokenize, score, info, bench)";
    case Command::kTokenize:
      return R"(aira-cli tokenize [options]       lines of text to token ids, or back
JSON lines: {"text"} -> {"ids"}; with --decode {"ids"} -> {"text"})";
    case Command::kScore:
      return R"(aira-cli score [options]          log-likelihood of given texts, JSON lines in and out
{"context", "continuation"}, {"text"} or {"context_ids", "continuation_ids"}
  -> {"logprob", "is_greedy", "tokens": [{"id", "logprob"}]}
Without a context the text may be longer than the model holds: it is scored in windows.)";
    case Command::kInfo:
      return "aira-cli info [options]           what the model is and where it came from";
    case Command::kBench:
      return R"(aira-cli bench [options]          speed of prompts, decoding and batches

Decoding is also shown as a share of the memory bandwidth, which is measured with 512 MB. It can
exceed 100 % when part of the weights stays in the processor's cache.)";
  }
  return "";
}

std::string examples(Command command) {
  switch (command) {
    case Command::kAsk:
      return R"(Examples:
  aira-cli "Qual é a capital de Portugal?"
  aira-cli --temperature 0.7 --seed 1 --stats "Escreva um poema sobre o mar."
  aira-cli < perguntas.txt > respostas.txt
  aira-cli --jsonl --num-beams 4 -n 2 < perguntas.jsonl > respostas.jsonl
  aira-cli --raw -m ./gpt2 "Era uma vez"

The model is -m, else $AIRA_MODEL, else Aira-2-portuguese-124M if it is in the Hugging Face cache,
else the small built-in one. Weights and tokenizer are kept ready to use in ~/.cache/aira, or in the
folder $AIRA_CACHE; AIRA_CACHE=off keeps nothing. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.)";
    case Command::kTokenize:
      return R"(Examples:
  echo "Olá, mundo" | aira-cli tokenize
  echo '{"text": "Olá<|endoftext|>"}' | aira-cli tokenize --jsonl
  echo "Olá, mundo" | aira-cli tokenize | aira-cli tokenize --decode)";
    case Command::kScore:
      return R"(Examples:
  echo '{"context": "A capital de Portugal é", "continuation": " Lisboa"}' | aira-cli score)";
    case Command::kInfo:
      return R"(Examples:
  aira-cli info
  aira-cli info --json -m nicholasKluge/Aira-2-portuguese-124M)";
    case Command::kBench:
      return R"(Decoding computes all logits of fixed tokens; drawing a token is not part of the time.

Examples:
  aira-cli bench
  aira-cli bench -m ./model -p 512 -n 64 -r 5 -t 2 --json)";
  }
  return "";
}

}  // namespace aira
