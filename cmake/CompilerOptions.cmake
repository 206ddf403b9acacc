# SPDX-License-Identifier: Apache-2.0
# How everything here is compiled: the target jobgate_options carries it. JOBGATE_SANITIZE is a comma list for
# -fsanitize=, set by the presets.

set(JOBGATE_SANITIZE "" CACHE STRING "Sanitizers to build everything with, e.g. address,undefined or thread")
option(JOBGATE_WERROR "Treat warnings as errors" ON)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(jobgate_options INTERFACE)
target_compile_definitions(jobgate_options INTERFACE _GNU_SOURCE JOBGATE_VERSION="${PROJECT_VERSION}")
target_include_directories(jobgate_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(
    jobgate_options INTERFACE -Wall -Wextra -Wshadow -Wconversion $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
                              $<$<BOOL:${JOBGATE_WERROR}>:-Werror>
)

# A missing symbol shows at link time, not in the host. Clang's sanitizer runtime lives in the executable, so there it
# cannot be asked for.
set(JOBGATE_NO_UNDEFINED "LINKER:-z,defs")

if(JOBGATE_SANITIZE)
    set(sanitize_flags -fsanitize=${JOBGATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_compile_options(jobgate_options INTERFACE ${sanitize_flags})
    target_link_options(jobgate_options INTERFACE ${sanitize_flags})
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
        set(JOBGATE_NO_UNDEFINED "")
    endif()
else()
    target_compile_options(jobgate_options INTERFACE $<$<CONFIG:RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
    target_compile_options(jobgate_options INTERFACE -fstack-protector-strong)
endif()

# libFuzzer comes with clang; coverage is instrumented in the whole core, so that it guides the fuzzer there too.
set(JOBGATE_FUZZ OFF)
if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND JOBGATE_SANITIZE MATCHES "address")
    set(JOBGATE_FUZZ ON)
    target_compile_options(jobgate_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Linked into every program, since it may load jobgate.so, or librdkafka.
add_library(jobgate_host INTERFACE)
if(JOBGATE_SANITIZE MATCHES "thread")
    add_library(jobgate_tsan_threads OBJECT "${PROJECT_SOURCE_DIR}/tests/support/tsan_threads.c")
    target_link_libraries(jobgate_tsan_threads PRIVATE jobgate_options)
    target_link_libraries(jobgate_host INTERFACE "$<TARGET_OBJECTS:jobgate_tsan_threads>")
    target_link_options(jobgate_host INTERFACE -rdynamic)
endif()
