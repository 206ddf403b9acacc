# SPDX-License-Identifier: Apache-2.0
# What scripts/package makes with CPack: a Debian package and a tarball.

set(JOBGATE_MAINTAINER "jobgate maintainers <jobgate@localhost>" CACHE STRING "Whom the Debian package names")
find_program(dpkg dpkg)
mark_as_advanced(dpkg)
set(architecture "${CMAKE_SYSTEM_PROCESSOR}")
if(dpkg)
    execute_process(COMMAND "${dpkg}" --print-architecture OUTPUT_VARIABLE architecture OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME jobgate)
set(CPACK_PACKAGE_FILE_NAME "jobgate-${PROJECT_VERSION}-linux-${architecture}")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/package/finish.cmake")
set(CPACK_JOBGATE_SOURCE_DIR "${PROJECT_SOURCE_DIR}")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                                WORLD_EXECUTE
)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "plugin of librdkafka that governs Kafka topics as job queues")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Jobs that equal one that waits are dropped, concurrency is limited per class
of jobs, jobs run exclusively, and jobs enqueue themselves again while there is
capacity: in every program that uses librdkafka, in any language, by settings
alone (plugin.library.paths=jobgate). Kafka carries the jobs, Redis holds the
coordination state. The jobgate command tells what is going on, and steers it."
)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${JOBGATE_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
# The plugin needs the C library only, as its hosts bring librdkafka; the command is linked with Debian's. It is a
# dependency all the same: a command that does not start would be a poor saving.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "librdkafka1 (>= 2.0)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server, kcat")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian "${PROJECT_SOURCE_DIR}/packaging/debian")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${debian}/triggers" "${debian}/postinst" "${debian}/prerm" "${debian}/postrm")
include(CPack)
