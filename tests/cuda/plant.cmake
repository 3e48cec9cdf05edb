# cmake -DFROM=FILE -DTO=FILE -DOLD=FILE -DNEW=FILE -P plant.cmake: copies FROM to TO and replaces
# the text in OLD by the text in NEW. It must occur exactly once, so that rewriting a kernel without
# updating its planted mistakes is an error.
file(READ ${FROM} text)
file(READ ${OLD} old)
file(READ ${NEW} new)
string(LENGTH "${text}" before)
string(REPLACE "${old}" "" without "${text}")
string(LENGTH "${without}" after)
string(LENGTH "${old}" length)
math(EXPR times "(${before} - ${after}) / ${length}")
if(NOT times EQUAL 1)
  message(FATAL_ERROR "${FROM} has ${times} times instead of once the text that ${TO} replaces "
                      "(tests/cuda/planted.cmake):\n${old}")
endif()
string(REPLACE "${old}" "${new}" text "${text}")
file(WRITE ${TO} "${text}")
