# SPDX-License-Identifier: Apache-2.0
# librdkafka hands `plugin.library.paths` to dlopen, which searches the loader's own directories for a bare name, and
# tries it again with ".so" appended: jobgate.so in the library directory (and ldconfig, where that is not /usr/lib) is
# found as `jobgate`.

install(TARGETS jobgate_module LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS jobgate_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/plugin/jobgate.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/schemas/" DESTINATION "${CMAKE_INSTALL_DATADIR}/jobgate/schemas")

cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE pc_includedir)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE pc_libdir)
configure_file("${PROJECT_SOURCE_DIR}/cmake/jobgate.pc.in" "${PROJECT_BINARY_DIR}/jobgate.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/jobgate.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
