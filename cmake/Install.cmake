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

install(FILES "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/packaging/systemd/resume.conf" DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples")
# systemd looks there under /usr and under /usr/local.
install(FILES "${PROJECT_SOURCE_DIR}/packaging/systemd/jobgate-resume@.service" DESTINATION lib/systemd/system)

# The man pages are what the command tells of itself. A sanitizer's command may not run everywhere, and is not installed.
if(NOT JOBGATE_SANITIZE)
    set(man "${PROJECT_BINARY_DIR}/man")
    file(MAKE_DIRECTORY "${man}")
    add_custom_command(
        OUTPUT "${man}/jobgate.1" "${man}/jobgate.conf.5"
        COMMAND jobgate_cli help --man > "${man}/jobgate.1"
        COMMAND jobgate_cli settings --man > "${man}/jobgate.conf.5"
        DEPENDS jobgate_cli
        COMMENT "Writing man pages"
        VERBATIM
    )
    add_custom_target(jobgate_man ALL DEPENDS "${man}/jobgate.1" "${man}/jobgate.conf.5")
    install(FILES "${man}/jobgate.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install(FILES "${man}/jobgate.conf.5" DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
endif()
