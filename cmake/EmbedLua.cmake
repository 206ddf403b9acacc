# SPDX-License-Identifier: Apache-2.0

# jobgate_embed(<target> <out symbol> <header> <file>...)
#
# Compiles the files, as C strings, into the target: an array <out symbol> of {name, source}, in the order given, with
# <out symbol without a final s>_count entries; `name` is the file's name without folder and extension. Declared in the
# generated header.
function(jobgate_embed target symbol header_name)
    string(REGEX REPLACE "s$" "" singular "${symbol}")
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded")
    set(header "${folder}/${header_name}")
    string(REGEX REPLACE "h$" "c" source "${header}")
    set(files "")
    foreach(file IN LISTS ARGN)
        cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
        list(APPEND files "${file}")
    endforeach()
    add_custom_command(
        OUTPUT "${header}" "${source}"
        COMMAND "${CMAKE_COMMAND}" "-DSYMBOL=${symbol}" "-DCOUNT=${singular}_count" "-DHEADER=${header}"
                "-DSOURCE=${source}" "-DFILES=${files}" -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
        DEPENDS ${files} "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
        COMMENT "Embedding ${symbol}"
        VERBATIM
    )
    # A library of its own, because only a target of this folder sees the files that the command makes.
    add_library(${target}_${symbol} OBJECT "${source}" "${header}")
    target_link_libraries(${target} PRIVATE ${target}_${symbol})
    target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${folder}>")
endfunction()
