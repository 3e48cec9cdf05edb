// Answers a question with the model in a folder: example FOLDER QUESTION
#include <iostream>

#include "aira/engine.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: example FOLDER QUESTION\n";
    return 2;
  }
  try {
    aira::Engine engine({.files = aira::ModelFiles::from_folder(argv[1])});
    aira::GenerateOptions options = engine.defaults();
    options.seed = 1;
    bool failed = false;
    aira::Listener listener;
    listener.text = [](std::size_t, std::string_view piece) { std::cout << piece << std::flush; };
    listener.failed = [&failed](const aira::Error& error) {
      std::cerr << error.what() << '\n';
      failed = true;
    };
    engine.submit(aira::GenerateRequest{engine.prompts().question(argv[2]), options}, listener)
        .wait();
    std::cout << '\n';
    return failed ? 1 : 0;
  } catch (const aira::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
