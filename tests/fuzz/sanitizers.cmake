# What the whole project is compiled with for AIRA_FUZZ. Asserts count, those of the C++ library too.
add_compile_options(-fno-omit-frame-pointer -g1 -U_FORTIFY_SOURCE)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(AIRA_FUZZ STREQUAL "ASAN")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
                      -fno-sanitize=vptr)
  add_link_options(-fsanitize=address,undefined -fno-sanitize=vptr)
elseif(AIRA_FUZZ STREQUAL "FAST")
  # What costs next to nothing: indices of arrays and containers, overflow, conversions.
  set(checks bounds,signed-integer-overflow,shift,integer-divide-by-zero,float-cast-overflow,bool,enum)
  add_compile_options(-fsanitize=fuzzer-no-link,${checks} -fsanitize-trap=${checks})
elseif(AIRA_FUZZ STREQUAL "COVERAGE")
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
else()
  message(FATAL_ERROR "AIRA_FUZZ is ${AIRA_FUZZ}, not ASAN, FAST or COVERAGE")
endif()
