# Mistakes planted in copies of the project's kernels. The tests of operations or of whole models must
# detect each in the builds named: REFERENCE (wrong result) and GUARDS (the shim's checks of memory,
# barriers and alignment) without sanitizers, ADDRESS with AddressSanitizer, RACES with
# ThreadSanitizer. The same tests pass on the kernels as they are: aira-cuda-tests runs them.

# The output that ctest expects.
set(AIRA_SEEN_REFERENCE "got [^ ]*, expected|The difference between |Expected equality of these values|written [0-9]+ (before|behind) the output")
set(AIRA_SEEN_ADDRESS "ERROR: AddressSanitizer: ")
set(AIRA_SEEN_RACES "WARNING: ThreadSanitizer: data race")

if(AIRA_TSAN)
  set(planted_ways RACES)
elseif(AIRA_SANITIZE)
  set(planted_ways ADDRESS)
else()
  set(planted_ways REFERENCE GUARDS)
endif()

# planted_executable(NAME KERNEL NAME [HEADER NAME] REPLACE TEXT BY TEXT): the tests with a changed
# copy of the kernel, or of a header for this kernel alone.
function(planted_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 plant "" "KERNEL;HEADER;REPLACE;BY" "")
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/planted/${name})
  file(GENERATE OUTPUT ${folder}/old.txt CONTENT "${plant_REPLACE}")
  file(GENERATE OUTPUT ${folder}/new.txt CONTENT "${plant_BY}")
  set(kernel ${PROJECT_SOURCE_DIR}/kernels/${plant_KERNEL}.cu)
  if(plant_HEADER)
    set(source ${PROJECT_SOURCE_DIR}/kernels/${plant_HEADER}.h)
    set(copy ${folder}/kernels/${plant_HEADER}.h)
  else()
    set(source ${kernel})
    set(copy ${folder}/${plant_KERNEL}.cu)
    set(kernel "")
  endif()
  add_custom_command(OUTPUT ${copy}
    COMMAND ${CMAKE_COMMAND} -DFROM=${source} -DTO=${copy} -DOLD=${folder}/old.txt
            -DNEW=${folder}/new.txt -P ${CMAKE_CURRENT_SOURCE_DIR}/plant.cmake
    DEPENDS ${source} ${CMAKE_CURRENT_SOURCE_DIR}/plant.cmake ${folder}/old.txt ${folder}/new.txt
    VERBATIM)
  add_executable(planted-${name})
  aira_cuda_on_host(planted-${name} ${kernel} ${copy})
  target_include_directories(planted-${name} BEFORE PRIVATE ${folder})
  # A mistake may leave variables unused. The tests end at the first failure: compiling takes longer.
  target_compile_options(planted-${name} PRIVATE -w -O0)
  # The copy comes first, so the linker takes only the other kernels from the library.
  target_link_libraries(planted-${name} PRIVATE cuda-backend-tests backend-tests kernels-on-host)
  add_dependencies(cuda-on-host planted-${name})
endfunction()

# planted_kernel(NAME KERNEL NAME [HEADER NAME] TESTS FILTER REPLACE TEXT BY TEXT
#                [REFERENCE] [ADDRESS] [RACES] [GUARDS REGEX])
function(planted_kernel name)
  cmake_parse_arguments(PARSE_ARGV 1 plant "REFERENCE;ADDRESS;RACES"
                        "KERNEL;HEADER;TESTS;REPLACE;BY;GUARDS" "")
  set(AIRA_SEEN_GUARDS "${plant_GUARDS}")
  foreach(way IN LISTS planted_ways)
    if(NOT plant_${way})
      continue()
    endif()
    set(full ${plant_KERNEL}.${name})
    if(NOT TARGET planted-${full})
      planted_executable(${full} KERNEL ${plant_KERNEL} HEADER "${plant_HEADER}"
                         REPLACE "${plant_REPLACE}" BY "${plant_BY}")
    endif()
    set(seen "${AIRA_SEEN_${way}}")
    if(way MATCHES "ADDRESS|RACES")
      string(APPEND seen ".*(${plant_KERNEL}\\.cu|linear_parts\\.h):[0-9]+")
    endif()
    string(TOLOWER ${way} by)
    add_test(NAME planted.${full}.seen-by-${by}
             COMMAND planted-${full} --gtest_filter=${plant_TESTS} --gtest_fail_fast)
    set_tests_properties(planted.${full}.seen-by-${by} PROPERTIES
      PASS_REGULAR_EXPRESSION "${seen}"
      ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1"
      LABELS "cuda-on-host;planted")
  endforeach()
endfunction()

set(layernorm KERNEL layernorm TESTS Every/Ops.LayerNorm*/cuda_on_host_1_*)
set(convert KERNEL convert TESTS Every/Ops.Linear/cuda_on_host_1_*)
set(few KERNEL linear_few TESTS Every/Ops.Linear*/cuda_on_host_1_*)
set(inputs KERNEL linear_inputs TESTS Every/Ops.Linear*/cuda_on_host_1_*)
set(tile KERNEL linear_tile TESTS Every/Ops.Linear*/cuda_on_host_1_*)
set(wgmma KERNEL linear_wgmma TESTS Every/Ops.Linear*/cuda_on_host_1_*)
set(decode KERNEL attention_decode TESTS Every/Ops.Attention/cuda_on_host_1_*)
set(prefill KERNEL attention_prefill TESTS Every/Ops.Attention/cuda_on_host_1_*)
set(append KERNEL attention_append TESTS Every/Ops.Attention/cuda_on_host_1_*)
set(embed KERNEL embed TESTS Every/Ops.Embed/cuda_on_host_1_*)
set(copy KERNEL copy_pages TESTS Every/Ops.SequencesShareAndCopyPages/cuda_on_host_1_*)
set(draw KERNEL draw_tokens TESTS Every/Drawing.TheSamplersTokens/cuda_on_host_1)
set(scan KERNEL scan_logits TESTS Every/Drawing.TheSamplersTokens/cuda_on_host_1)
set(epilogue KERNEL linear_epilogue TESTS Every/Ops.Linear/cuda_on_host_1_*)
# Whole steps: their kernels may overlap.
set(model TESTS Every/ModelGoldens.LogitsInF32/cuda_on_host_1_a)
set(half_model TESTS Every/ModelGoldens.LogitsInF16/cuda_on_host_1_a)

# -- layernorm --
planted_kernel(wrong-tail ${layernorm} REFERENCE
  REPLACE "i < job.width; i += 32) {\n" BY "i < job.width / 32 * 32; i += 32) {\n")
planted_kernel(wrong-row ${layernorm} REFERENCE
  REPLACE "job.from == nullptr ? row : job.from[row]" BY "row")
planted_kernel(rows-off-by-one ${layernorm} ADDRESS
  REPLACE "row >= job.rows" BY "row > job.rows")
planted_kernel(sum-of-two-lanes ${layernorm} REFERENCE
  REPLACE "mean = warp_sum(sum)" BY "mean = (sum + __shfl_xor_sync(kWholeWarp, sum, 16))")
planted_kernel(missing-grid-wait KERNEL layernorm ${model} RACES
  REPLACE "  grid_dependency_wait();\n" BY "")

# -- convert --
planted_kernel(transposed ${convert} REFERENCE
  REPLACE "job.out_major ? row" BY "!job.out_major ? row")
planted_kernel(numbers-off-by-one ${convert} REFERENCE
  REPLACE "i >= job.rows * job.cols" BY "i + 1 >= job.rows * job.cols")
# Large matrices come in parts; this order has one.
planted_kernel(first-row-forgotten KERNEL convert TESTS Every/Ops.Linear/cuda_on_host_3_* REFERENCE
  REPLACE "job.first_row + i" BY "i")
planted_kernel(scales-of-the-first-part ${convert} REFERENCE
  REPLACE "to_input / kScaleInputs * scale_pitch" BY "input / kScaleInputs * scale_pitch")
planted_kernel(scale-rounded-down ${convert} REFERENCE
  REPLACE "bits + 0xffffU" BY "bits")

# -- linear_few --
planted_kernel(divergent-barrier ${few} GUARDS "linear_few_block_per_outputs: .*__syncthreads at"
  REPLACE "__syncthreads();\n    const RowNorm norm"
  BY "if (lane < 16) __syncthreads();\n    const RowNorm norm")
planted_kernel(shared-past-end ${few} ADDRESS
  GUARDS "linear_few_block_per_outputs: .*wrote outside its shared memory"
  REPLACE ".shared_bytes = static_cast<std::size_t>(bytes)"
  BY ".shared_bytes = static_cast<std::size_t>(bytes - 64)")
planted_kernel(missing-barrier-of-moments ${few} REFERENCE RACES
  REPLACE "__syncthreads();\n    const RowNorm norm" BY "const RowNorm norm")
planted_kernel(missing-barrier-of-sums ${few} REFERENCE RACES
  REPLACE "__syncthreads();\n    const std::int64_t output" BY "const std::int64_t output")
planted_kernel(one-buffer-of-sums ${few} RACES
  REPLACE "buffer = 1 - buffer;" BY "buffer = 0;")
planted_kernel(weights-past-end ${few} ADDRESS
  REPLACE "output + 8 * e < job.out && k + c" BY "k + c")
planted_kernel(wrong-row ${few} REFERENCE
  REPLACE "const std::int64_t row = first_row + lane / 4;" BY "const std::int64_t row = lane / 4;")
planted_kernel(wrong-scale ${few} REFERENCE
  REPLACE "group == 0 ? w.scale[0][e] : w.scale[1][e]" BY "w.scale[0][e]")
planted_kernel(scales-past-end ${few} ADDRESS
  REPLACE "output + 8 * e < job.out && group + g < scale_groups(job.in)" BY "output + 8 * e < job.out")
planted_kernel(missing-grid-wait KERNEL linear_few ${half_model} RACES
  REPLACE "  grid_dependency_wait();\n" BY "")

# -- linear_tile --
planted_kernel(missing-barrier ${tile} REFERENCE RACES
  REPLACE "copy_async_wait<kStages - 2>();\n    __syncthreads();\n" BY "copy_async_wait<kStages - 2>();\n")
planted_kernel(missing-copy-wait ${tile} REFERENCE
  REPLACE "    copy_async_wait<kStages - 2>();\n" BY "")
planted_kernel(last-slice-lost ${tile} REFERENCE
  REPLACE "++in_slice < slice_parts && part + 1 < parts" BY "++in_slice < slice_parts || part + 1 == parts")
planted_kernel(half-of-the-scales ${tile} HEADER linear_parts REFERENCE
  REPLACE "if (g >= 2) return;" BY "if (g >= 1) return;")
planted_kernel(scales-past-end ${tile} HEADER linear_parts ADDRESS
  REPLACE "group < scale_groups(job.in) && first + own < pitch" BY "first + own < pitch")
planted_kernel(missing-grid-wait KERNEL linear_tile ${half_model} RACES
  REPLACE "  grid_dependency_wait();\n#pragma unroll\n  for (int s" BY "#pragma unroll\n  for (int s")

# -- linear_inputs, linear_wgmma --
planted_kernel(rows-off-by-one ${inputs} ADDRESS
  REPLACE "if (row < job.rows) x =" BY "if (row <= job.rows) x =")
planted_kernel(operands-in-another-order ${inputs} REFERENCE
  REPLACE "word[32] = words[c].y" BY "word[32] = words[c].z")
planted_kernel(missing-barrier ${wgmma} REFERENCE RACES
  REPLACE "part / kStages % 2);\n    __syncthreads();\n" BY "part / kStages % 2);\n")
planted_kernel(missing-copy-wait ${wgmma} REFERENCE
  REPLACE "    copy_async_wait<kStages - 2>();\n" BY "")
planted_kernel(last-slice-lost ${wgmma} REFERENCE
  REPLACE "++in_slice < slice_parts && part + 1 < parts" BY "++in_slice < slice_parts || part + 1 == parts")
planted_kernel(more-bytes-expected ${wgmma} GUARDS "waits for bulk copies that are not what it expects"
  REPLACE "bulk_copy_expect(barrier, kRows" BY "bulk_copy_expect(barrier, 2 * kRows")
planted_kernel(residual-of-another-row ${wgmma} HEADER linear_parts REFERENCE
  REPLACE "residual[i] = residual_of(r + i * kStep)" BY "residual[i] = residual_of(r)")
planted_kernel(missing-grid-wait KERNEL linear_wgmma ${half_model} RACES
  REPLACE "  grid_dependency_wait();\n#pragma unroll\n  for (int s" BY "#pragma unroll\n  for (int s")

# -- linear_epilogue --
planted_kernel(wrong-bias ${epilogue} REFERENCE
  REPLACE "job.bias[i % job.out]" BY "job.bias[i / job.out]")
planted_kernel(numbers-off-by-one ${epilogue} REFERENCE
  REPLACE "i >= job.rows * job.out" BY "i + 1 >= job.rows * job.out")

# -- attention_append --
planted_kernel(wrong-position ${append} REFERENCE
  REPLACE "cell_in(job, page, head, position)" BY "cell_in(job, page, head, position + 1)")
planted_kernel(features-off-by-one ${append} REFERENCE
  REPLACE "i < job.heads * padded;" BY "i < job.heads * padded - 8;")
planted_kernel(missing-grid-wait KERNEL attention_append ${model} RACES
  REPLACE "  grid_dependency_wait();\n" BY "")

# -- attention_decode --
planted_kernel(missing-barrier ${decode} REFERENCE RACES
  REPLACE "  }\n  __syncthreads();\n\n  float* out" BY "  }\n\n  float* out")
planted_kernel(keys-off-by-one ${decode} REFERENCE
  REPLACE "score[i] = j < end ?" BY "score[i] = j + 1 < end ?")
planted_kernel(own-key-from-cache ${decode} REFERENCE
  REPLACE "if (kAppend && j == position) fetched.key[i] = mine.key[0];\n" BY "")
planted_kernel(counter-stays ${decode} REFERENCE
  REPLACE "  if (threadIdx.x == 0) *arrived = 0;\n" BY "")
planted_kernel(missing-fence ${decode} RACES
  REPLACE "  __threadfence();\n  __syncthreads();\n" BY "  __syncthreads();\n")
planted_kernel(missing-grid-wait KERNEL attention_decode ${model} RACES
  REPLACE "  grid_dependency_wait();\n" BY "")

# -- attention_prefill --
planted_kernel(missing-barrier ${prefill} REFERENCE RACES
  REPLACE "copy_async_wait<1>();\n    __syncthreads();\n" BY "copy_async_wait<1>();\n")
planted_kernel(missing-last-barrier ${prefill} RACES
  REPLACE "scores, state);\n    __syncthreads();\n" BY "scores, state);\n")
planted_kernel(missing-copy-wait ${prefill} REFERENCE
  REPLACE "    copy_async_wait<1>();\n" BY "")
planted_kernel(sees-too-little ${prefill} REFERENCE
  REPLACE "key > group.position + row" BY "key >= group.position + row")
planted_kernel(keys-past-end ${prefill} ADDRESS
  REPLACE "first + key < end && feature < padded" BY "feature < padded")
planted_kernel(misaligned-row ${prefill}
  GUARDS "prefill_block_per_group: .*load_matrix at .*16-byte boundary"
  REPLACE "queries[row][k + lane / 16 * 8]" BY "queries[row][k + lane / 16 * 4]")
planted_kernel(missing-grid-wait ${prefill} RACES
  REPLACE "  grid_dependency_wait();\n" BY "")

# -- embed --
planted_kernel(wrong-tail ${embed} REFERENCE
  REPLACE "c < job.width;" BY "c < job.width / 2 * 2;")
planted_kernel(wrong-position ${embed} REFERENCE
  REPLACE "job.rows.position[t])) * job.width" BY "job.rows.slot[t])) * job.width")
planted_kernel(wrong-scale ${embed} REFERENCE
  REPLACE "scale_pitch(job.vocab) + id" BY "scale_pitch(job.vocab)")

# -- copy_pages --
planted_kernel(half-a-page ${copy} REFERENCE
  REPLACE "i < words;" BY "i < words / 2;")

# -- scan_logits, draw_tokens --
planted_kernel(missing-barrier ${scan} RACES
  REPLACE "kKeyOfMinusInfinity);\n  }\n  __syncthreads();\n" BY "kKeyOfMinusInfinity);\n  }\n")
planted_kernel(penalty-counts-twice ${scan} REFERENCE
  REPLACE "penalised(logits[id]," BY "penalised(shared.score[id],")
planted_kernel(first-chunk-not-summed ${scan} REFERENCE
  REPLACE "  if (options.log_probability) {" BY "  if (options.log_probability && base > 0) {")
planted_kernel(history-forgotten ${draw} REFERENCE
  REPLACE "return repeats ? penalised" BY "return repeats && id < 9 ? penalised")
planted_kernel(missing-barrier-of-history ${draw} REFERENCE RACES
  REPLACE "shared.in_history[i] = 0;\n    __syncthreads();" BY "shared.in_history[i] = 0;")
planted_kernel(one-too-few ${draw} REFERENCE
  REPLACE "const unsigned last = key_in(shared.rank[k - 1]);"
  BY "const unsigned last = key_in(shared.rank[k > 1 ? k - 2 : 0]);")

# A kernel that no longer contains the text breaks the build.
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/planted/gone.txt CONTENT "no kernel has this text")
add_test(NAME planted.text-that-is-gone COMMAND ${CMAKE_COMMAND}
         -DFROM=${PROJECT_SOURCE_DIR}/kernels/embed.cu -DTO=${CMAKE_CURRENT_BINARY_DIR}/gone.cu
         -DOLD=${CMAKE_CURRENT_BINARY_DIR}/planted/gone.txt
         -DNEW=${CMAKE_CURRENT_BINARY_DIR}/planted/gone.txt
         -P ${CMAKE_CURRENT_SOURCE_DIR}/plant.cmake)
set_tests_properties(planted.text-that-is-gone PROPERTIES
  PASS_REGULAR_EXPRESSION "embed\\.cu[ \n]+has[ \n]+0[ \n]+times"
  LABELS "cuda-on-host;planted")
