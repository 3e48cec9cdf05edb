// A library that is not the CUDA module, for load_module_test.cpp.
extern "C" int aira_other_library() { return 1; }
