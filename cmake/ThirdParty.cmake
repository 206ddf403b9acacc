# SPDX-License-Identifier: Apache-2.0
# Libraries of others. Inside the plugin they are linked statically with hidden symbols: a host may carry another
# hiredis or jansson, and must not see ours.

find_package(PkgConfig REQUIRED)

# jobgate_static_library(<target> PACKAGE <Debian package> HEADER <header> ARCHIVE <file name>...)
function(jobgate_static_library target)
    cmake_parse_arguments(arg "" "PACKAGE;HEADER" "ARCHIVE" ${ARGN})
    find_library(${target}_ARCHIVE NAMES ${arg_ARCHIVE})
    find_path(${target}_INCLUDE NAMES ${arg_HEADER})
    mark_as_advanced(${target}_ARCHIVE ${target}_INCLUDE)
    if(NOT ${target}_ARCHIVE OR NOT ${target}_INCLUDE)
        list(JOIN arg_ARCHIVE " or " archives)
        message(FATAL_ERROR "${archives} with ${arg_HEADER} not found: install the Debian package ${arg_PACKAGE} "
                            "(scripts/setup does)")
    endif()
    add_library(${target} STATIC IMPORTED GLOBAL)
    set_target_properties(
        ${target} PROPERTIES IMPORTED_LOCATION "${${target}_ARCHIVE}" INTERFACE_INCLUDE_DIRECTORIES "${${target}_INCLUDE}"
    )
endfunction()

# jobgate_shared_library(<target> <pkg-config module> <Debian package>)
function(jobgate_shared_library target module package)
    pkg_check_modules(${target}_pc QUIET IMPORTED_TARGET ${module})
    if(NOT ${target}_pc_FOUND)
        message(FATAL_ERROR "${module} not found: install the Debian package ${package} (scripts/setup does)")
    endif()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE PkgConfig::${target}_pc)
endfunction()

jobgate_static_library(jobgate_hiredis PACKAGE libhiredis-dev HEADER hiredis/hiredis.h ARCHIVE libhiredis.a)
jobgate_static_library(jobgate_avro PACKAGE libavro-dev HEADER avro.h ARCHIVE libavro.a)
jobgate_static_library(jobgate_yajl PACKAGE libyajl-dev HEADER yajl/yajl_parse.h ARCHIVE libyajl_s.a libyajl.a)
jobgate_static_library(jobgate_md PACKAGE libmd-dev HEADER sha2.h ARCHIVE libmd.a)
jobgate_static_library(jobgate_jansson_debian PACKAGE libjansson-dev HEADER jansson.h ARCHIVE libjansson.a)
jobgate_shared_library(jobgate_rdkafka rdkafka librdkafka-dev)
# Of the command alone: the endpoint of `jobgate resume --metrics`.
jobgate_shared_library(jobgate_microhttpd libmicrohttpd libmicrohttpd-dev)

# Only librdkafka's header, for jobgate.so and what tests it.
add_library(jobgate_rdkafka_header INTERFACE)
target_include_directories(jobgate_rdkafka_header SYSTEM INTERFACE ${jobgate_rdkafka_pc_INCLUDE_DIRS})

# Debian's libjansson.a is compiled for executables: it refers to libc's `stdin` in a way that no shared object can
# satisfy. Only json_loadf does, to say "<stdin>" in an error, and nothing of ours calls it: so the reference is turned
# to a variable of our own, which is never anybody's stream.
set(jansson_archive "${CMAKE_CURRENT_BINARY_DIR}/libjobgate_jansson.a")
set(jansson_stdin "${CMAKE_CURRENT_BINARY_DIR}/jansson_stdin.c")
file(CONFIGURE OUTPUT "${jansson_stdin}" CONTENT [[
#include <stdio.h>
extern FILE *jg_jansson_stdin;
FILE *jg_jansson_stdin;
]])
add_custom_command(
    OUTPUT "${jansson_archive}"
    COMMAND "${CMAKE_OBJCOPY}" --redefine-sym stdin=jg_jansson_stdin "${jobgate_jansson_debian_ARCHIVE}"
            "${jansson_archive}"
    DEPENDS "${jobgate_jansson_debian_ARCHIVE}"
    COMMENT "Making libjansson.a fit for a shared object"
    VERBATIM
)
add_custom_target(jobgate_jansson_archive DEPENDS "${jansson_archive}")
add_library(jobgate_jansson_stdin STATIC "${jansson_stdin}")
add_library(jobgate_jansson STATIC IMPORTED GLOBAL)
add_dependencies(jobgate_jansson jobgate_jansson_archive)
set_target_properties(
    jobgate_jansson PROPERTIES IMPORTED_LOCATION "${jansson_archive}"
                               INTERFACE_INCLUDE_DIRECTORIES "${jobgate_jansson_debian_INCLUDE}"
)
target_link_libraries(jobgate_jansson INTERFACE jobgate_jansson_stdin)
# avro-c reads schemas with jansson.
target_link_libraries(jobgate_avro INTERFACE jobgate_jansson)
