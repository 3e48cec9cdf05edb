# Run at each build: writes OUTPUT, which defines AIRA_COMMIT, when the commit of SOURCE is another.
# COMMIT, if given, is taken as it is. Sources that are no git checkout of their own have none.
if(NOT COMMIT)
  find_program(git git)
  if(git AND EXISTS ${SOURCE}/.git)
    execute_process(
      COMMAND ${git} -C ${SOURCE} --no-optional-locks describe --always --exclude=* --abbrev=12 --dirty=+
      OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define AIRA_COMMIT \"${COMMIT}\"\n" @ONLY)
