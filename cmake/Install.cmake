# SPDX-License-Identifier: Apache-2.0
# librdkafka hands `plugin.library.paths` to dlopen, which searches the loader's own directories for a bare name, and
# tries again with ".so" appended: `jobgate` must be found as jobgate.so. The loader knows /usr/lib and its multiarch
# folder by themselves, and others (/usr/local/lib) by what ldconfig lists; and ldconfig looks at files named lib*.so
# only, and lists them by their soname. Hence libjobgate.so, with the soname jobgate.so, and a link of that name.

install(
    FILES "$<TARGET_FILE:jobgate_module>"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    RENAME libjobgate.so
)
install(
    CODE "
    set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY \"\${CMAKE_INSTALL_PREFIX}\" OUTPUT_VARIABLE folder)
    message(STATUS \"Installing: \$ENV{DESTDIR}\${folder}/jobgate.so, a link; run ldconfig unless it is in /usr/lib\")
    file(CREATE_LINK libjobgate.so \"\$ENV{DESTDIR}\${folder}/jobgate.so\" SYMBOLIC)
    list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${folder}/jobgate.so\")
"
)
install(TARGETS jobgate_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/plugin/jobgate.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/schemas/" DESTINATION "${CMAKE_INSTALL_DATADIR}/jobgate/schemas")

# Relative to the file itself, so that it is right wherever the tree is installed or moved to.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE folder)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE pc_includedir)
cmake_path(RELATIVE_PATH pc_includedir BASE_DIRECTORY "${folder}/pkgconfig")
configure_file("${PROJECT_SOURCE_DIR}/cmake/jobgate.pc.in" "${PROJECT_BINARY_DIR}/jobgate.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/jobgate.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
