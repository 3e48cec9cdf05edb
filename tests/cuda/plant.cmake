# cmake -DFROM=FILE -DTO=FILE [-DOLD=FILE -DNEW=FILE] -P plant.cmake: copies FROM to TO with the text
# in OLD replaced by that in NEW. The text must be there exactly once: a kernel that was rewritten
# takes its planted mistakes along.
file(READ ${FROM} text)
if(OLD)
  file(READ ${OLD} old)
  file(READ ${NEW} new)
  string(LENGTH "${text}" before)
  string(REPLACE "${old}" "" without "${text}")
  string(LENGTH "${without}" after)
  string(LENGTH "${old}" length)
  math(EXPR times "(${before} - ${after}) / ${length}")
  if(NOT times EQUAL 1)
    message(FATAL_ERROR "${FROM} has ${times} times, not once, the text that ${TO} must replace "
                        "(tests/cuda/planted.cmake):\n${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
endif()
file(WRITE ${TO} "${text}")
