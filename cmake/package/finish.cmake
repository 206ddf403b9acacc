# SPDX-License-Identifier: Apache-2.0
# Run by CPack when a package's files are laid out, before they are packed: what a package has beyond an installation.
# Everything gets one time, SOURCE_DATE_EPOCH, so that the same sources give the same bytes.

set(sources "${CPACK_JOBGATE_SOURCE_DIR}/packaging")
set(root "${CPACK_TEMPORARY_DIRECTORY}")
if(CPACK_GENERATOR STREQUAL "DEB")
    set(prefix "${root}/usr")
else()
    set(prefix "${root}")
endif()
set(documents "${prefix}/share/doc/jobgate")

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

if(NOT IS_DIRECTORY "${documents}" OR NOT DEFINED ENV{SOURCE_DATE_EPOCH})
    message(FATAL_ERROR "${documents} is not there, or SOURCE_DATE_EPOCH is not set: use scripts/package")
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH

# No symbols but the dynamic ones.
run(strip --strip-unneeded --remove-section=.comment --remove-section=.note "${prefix}/lib/libjobgate.so")
run(strip --remove-section=.comment --remove-section=.note "${prefix}/bin/jobgate")

file(READ "${sources}/copyright" copyright)
foreach(package IN ITEMS libhiredis-dev libavro-dev libjansson-dev libyajl-dev libmd-dev)
    # Fails where it is not there: its licence wants it to come along.
    file(READ "/usr/share/doc/${package}/copyright" notice)
    string(APPEND copyright "\n\n---- ${package}\n\n${notice}")
endforeach()
file(WRITE "${documents}/copyright" "${copyright}")

if(CPACK_GENERATOR STREQUAL "DEB")
    file(REMOVE "${documents}/LICENSE") # Debian has its text
    file(WRITE "${documents}/changelog" "jobgate (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * Version ${CPACK_PACKAGE_VERSION}.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}
")
    file(GLOB pages "${prefix}/share/man/man*/*")
    run(gzip -9n "${documents}/changelog" ${pages})
    # For settings of jobgate-resume@.service, which may hold passwords.
    file(MAKE_DIRECTORY "${root}/etc/jobgate")
    file(CHMOD "${root}/etc/jobgate" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
else()
    file(COPY "${sources}/INSTALL" DESTINATION "${root}")
endif()
run(chmod -R u=rwX,go=rX "${prefix}")
run(find "${root}" -depth -exec touch --no-dereference "--date=@$ENV{SOURCE_DATE_EPOCH}" "{}" +)
