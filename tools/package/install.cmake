# What `cmake --install` copies, and the Debian packages that CPack makes of it. Components: runtime (the
# program), cuda (its module), dev (the library), and licence, which Debian has in a place of its own.
include(CMakePackageConfigHelpers)
set(AIRA_PACKAGING ${PROJECT_SOURCE_DIR}/tools/package)

install(TARGETS aira-cli RUNTIME COMPONENT runtime)
set(AIRA_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Where zsh looks for completions")
install(FILES src/app/completion/aira-cli.bash COMPONENT runtime RENAME aira-cli
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES src/app/completion/_aira-cli COMPONENT runtime DESTINATION ${AIRA_ZSH_DIR})
install(FILES src/app/completion/aira-cli.fish COMPONENT runtime
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${CMAKE_BINARY_DIR}/man/man1/aira-cli.1.gz COMPONENT runtime OPTIONAL
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/man/pt_BR/man1/aira-cli.1.gz COMPONENT runtime OPTIONAL
  DESTINATION ${CMAKE_INSTALL_MANDIR}/pt_BR/man1)
install(FILES LICENSE COMPONENT licence DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET aira_cuda)
  install(TARGETS aira_cuda LIBRARY COMPONENT cuda DESTINATION ${AIRA_MODULE_DIR})
endif()

install(DIRECTORY include/aira COMPONENT dev DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS aira EXPORT aira-targets ARCHIVE COMPONENT dev)
set(AIRA_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/aira)
install(EXPORT aira-targets NAMESPACE aira:: COMPONENT dev DESTINATION ${AIRA_CONFIG_DIR})
file(CONFIGURE OUTPUT aira-config.cmake @ONLY CONTENT [[
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/aira-targets.cmake)
]])
write_basic_package_version_file(aira-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/aira-config.cmake ${CMAKE_BINARY_DIR}/aira-config-version.cmake
  COMPONENT dev DESTINATION ${AIRA_CONFIG_DIR})
file(RELATIVE_PATH AIRA_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${AIRA_PACKAGING}/aira.pc.in aira.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/aira.pc COMPONENT dev DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Debian packages: cpack -G DEB, or tools/package/deb.
set(CPACK_COMPONENTS_ALL runtime dev)
if(TARGET aira_cuda)
  list(APPEND CPACK_COMPONENTS_ALL cuda)
endif()
find_program(AIRA_GZIP gzip)
if(AIRA_GZIP)
  execute_process(COMMAND ${AIRA_GZIP} -9nc ${AIRA_PACKAGING}/debian/changelog
                  OUTPUT_FILE ${CMAKE_BINARY_DIR}/changelog.gz)
endif()
set(AIRA_PACKAGE_runtime aira-cli)
set(AIRA_PACKAGE_dev aira-cli-dev)
set(AIRA_PACKAGE_cuda aira-cli-cuda)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  install(FILES ${AIRA_PACKAGING}/debian/copyright ${CMAKE_BINARY_DIR}/changelog.gz OPTIONAL
    COMPONENT ${component} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${AIRA_PACKAGE_${component}})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${AIRA_PACKAGE_${component}})
endforeach()
set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${AIRA_PACKAGING}/same_times.cmake)
set(CPACK_PACKAGE_CONTACT "aira-cli maintainers <maintainers@aira-cli.invalid>" CACHE STRING
  "The Maintainer of the Debian packages")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "libcurl4 | libcurl4t64 | libcurl3-gnutls, ca-certificates")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "bash-completion, aira-cli-cuda")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libutf8proc-dev, libmd-dev, libstdc++-12-dev | libstdc++-dev")
# cuBLAS comes from NVIDIA, whose packages dpkg-shlibdeps may not know.
set(CPACK_DEBIAN_CUDA_PACKAGE_DEPENDS
  "aira-cli (= ${PROJECT_VERSION}), libc6 (>= 2.34), libgcc-s1, libstdc++6 (>= 12)")
set(CPACK_DEBIAN_CUDA_PACKAGE_RECOMMENDS "libcublas-13-0 | libcublas-13-1 | libcublas-13-2")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "chat with GPT-2-family models on the command line
Answers questions, from a terminal, a pipe or a file, with a model such as
Aira-2-portuguese-124M that runs on this machine. A small model in Portuguese
is built in; larger ones are fetched from the Hugging Face hub.")
set(CPACK_COMPONENT_CUDA_DESCRIPTION "chat with GPT-2-family models, NVIDIA GPUs
With this module aira-cli computes on NVIDIA GPUs of compute capability 7.5
and above. It needs a driver and the cuBLAS library of CUDA 13.")
set(CPACK_COMPONENT_DEV_DESCRIPTION "chat with GPT-2-family models, C++ library
Headers, the static library, and files for CMake and pkg-config, for C++20
programs that use the engine of aira-cli.")
include(CPack)
