# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone: one generated source per header, so that none leans on what its includers included before.
# Found, not listed: a check that has to be told of a header would miss the forgotten one.

file(
    GLOB_RECURSE headers
    RELATIVE "${PROJECT_SOURCE_DIR}"
    CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/base/*.h"
    "${PROJECT_SOURCE_DIR}/plugin/*.h"
    "${PROJECT_SOURCE_DIR}/connectors/*.h"
    "${PROJECT_SOURCE_DIR}/cli/*.h"
    "${PROJECT_SOURCE_DIR}/tests/*.h"
)
set(header_sources "")
foreach(header IN LISTS headers)
    string(MAKE_C_IDENTIFIER "${header}" name)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/header_check/${name}.c")
    file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
    list(APPEND header_sources "${source}")
endforeach()
add_library(header_check OBJECT ${header_sources})
target_link_libraries(header_check PRIVATE jobgate_core jobgate_rdkafka_header)
