# Before CPack packs: what is newer than $SOURCE_DATE_EPOCH gets that time, so that two builds are alike.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(
    COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -newermt @$ENV{SOURCE_DATE_EPOCH}
            -exec touch --no-dereference --date=@$ENV{SOURCE_DATE_EPOCH} {} +
    COMMAND_ERROR_IS_FATAL ANY)
endif()
