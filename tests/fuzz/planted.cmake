# Mistakes planted in copies of the project's sources: each must be found by its fuzz target
# (tools/fuzz --planted), which finds none in the sources as they are.

# planted_source(NAME SOURCE FILE TARGET NAME REPLACE TEXT BY TEXT)
function(planted_source name)
  cmake_parse_arguments(PARSE_ARGV 1 plant "" "SOURCE;TARGET;REPLACE;BY" "")
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/planted/${name})
  file(GENERATE OUTPUT ${folder}/old.txt CONTENT "${plant_REPLACE}")
  file(GENERATE OUTPUT ${folder}/new.txt CONTENT "${plant_BY}")
  set(source ${PROJECT_SOURCE_DIR}/src/${plant_SOURCE})
  get_filename_component(file ${plant_SOURCE} NAME)
  set(plant ${PROJECT_SOURCE_DIR}/tests/cuda/plant.cmake)
  add_custom_command(OUTPUT ${folder}/${file}
    COMMAND ${CMAKE_COMMAND} -DFROM=${source} -DTO=${folder}/${file} -DOLD=${folder}/old.txt
            -DNEW=${folder}/new.txt -P ${plant}
    DEPENDS ${source} ${plant} ${folder}/old.txt ${folder}/new.txt
    VERBATIM)
  # The copy comes first, so the linker takes only the other sources from the library.
  aira_fuzzer(planted-fuzz-${name} ${plant_TARGET} ${folder}/${file})
  target_compile_options(planted-fuzz-${name} PRIVATE -w)
  set_property(GLOBAL APPEND PROPERTY AIRA_PLANTED_FUZZERS planted-fuzz-${name})
  set_property(GLOBAL APPEND_STRING PROPERTY AIRA_PLANTED_LIST "${name} ${plant_TARGET}\n")
endfunction()

# -- files of weights --
planted_source(shape-overflows SOURCE model/safetensors.cc TARGET safetensors
  REPLACE "if (__builtin_mul_overflow(count, dimension, &count)) return {};"
  BY "count = static_cast<std::int64_t>(static_cast<std::uint64_t>(count) * dimension);")
planted_source(bytes-of-nobody SOURCE model/safetensors.cc TARGET safetensors
  REPLACE "if (covered != file.data.get() + file.size) {"
  BY "if (covered > file.data.get() + file.size) {")
planted_source(file-cut-off SOURCE model/weight_cache.cc TARGET packed
  REPLACE "return total == *size;" BY "return total >= *size;")
planted_source(archive-off-by-one SOURCE model/zip_archive.cc TARGET torch
  REPLACE "bytes > text_.size() - at)" BY "bytes > text_.size() - at + 1)")
planted_source(negative-strides SOURCE model/pickle.cc TARGET torch
  REPLACE "item.kind != Value::kNumber || item.number < 0" BY "item.kind != Value::kNumber")
planted_source(half-a-pair SOURCE model/adapter.cc TARGET adapter
  REPLACE "!a || !b || a->shape != a_shape" BY "!a || a->shape != a_shape")

# -- texts --
planted_source(escape-past-end SOURCE text/json_lists.cc TARGET tokenizer_json
  REPLACE "  if (at_ == text_.size()) fail();\n  if (const std::size_t which"
  BY "  if (const std::size_t which")
planted_source(any-id SOURCE text/vocabulary.cc TARGET vocab_merges
  REPLACE "id >= 0 && id <= kHighestId" BY "id >= 0")
planted_source(segment-of-nothing SOURCE text/added_tokens.cc TARGET added_tokens
  REPLACE "if (done < begin) out" BY "if (done <= begin) out")
planted_source(letter-past-end SOURCE base/utf8.cc TARGET utf8
  REPLACE "if (length == text.size())" BY "if (length > text.size())")
planted_source(sequence-too-short SOURCE app/key_reader.cc TARGET keys
  REPLACE "return bytes.size() > 3 ? 4 : 0;" BY "return 4;")
planted_source(name-leads-out SOURCE hub/repository.cc TARGET hub
  REPLACE "find(\"/../\") != std::string::npos || " BY "find(\"/../\") == 0 || ")

# -- answers --
planted_source(slot-stays SOURCE run/scheduler.cc TARGET answers
  REPLACE "if (task->done()) sequences_.close_all(*task);"
  BY "if (task->done() && task->slots() == 1) sequences_.close_all(*task);")
planted_source(drawn-by-slot SOURCE run/answer_task.cc TARGET answers
  REPLACE "static_cast<std::uint32_t>(branch_of(sequence).number)"
  BY "static_cast<std::uint32_t>(sequence.slot)")
planted_source(page-stays SOURCE run/sequences.cc TARGET answers
  REPLACE "page = sequence.pages.rbegin();" BY "page = sequence.pages.rbegin() + (sequence.pages.size() > 2);")
