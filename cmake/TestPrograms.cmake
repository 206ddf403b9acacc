# SPDX-License-Identifier: Apache-2.0
# The kinds of C programs that tests are made of. All of them are compiled like the plugin itself, so that a sanitizer
# preset instruments host and plugin alike.

jobgate_shared_library(jobgate_cmocka cmocka libcmocka-dev)

# jobgate_unit_test(<name> <source>...): a cmocka program on jobgate_core, run by ctest as unit.<name>.
function(jobgate_unit_test name)
    jobgate_test_program(unit_${name} CORE CMOCKA SOURCES ${ARGN})
    add_test(NAME unit.${name} COMMAND unit_${name})
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 120 ENVIRONMENT "${JOBGATE_TEST_ENVIRONMENT}")
endfunction()

# jobgate_test_program(<name> [CORE] [CMOCKA] [RDKAFKA] SOURCES <source>...): <build folder>/tests/<name>, for pytest to
# run. CORE links what the plugin is made of, RDKAFKA the librdkafka of the system (a host that loads jobgate.so).
function(jobgate_test_program name)
    cmake_parse_arguments(arg "CORE;CMOCKA;RDKAFKA" "" "SOURCES" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    target_link_libraries(${name} PRIVATE jobgate_options jobgate_host Threads::Threads ${CMAKE_DL_LIBS})
    if(arg_CORE)
        target_link_libraries(${name} PRIVATE jobgate_core)
    endif()
    if(arg_CMOCKA)
        target_link_libraries(${name} PRIVATE jobgate_cmocka)
    endif()
    if(arg_RDKAFKA)
        target_link_libraries(${name} PRIVATE jobgate_rdkafka)
    endif()
endfunction()

# jobgate_fuzz_target(<name> <source>...): a source that defines LLVMFuzzerTestOneInput. Seeds stand in
# corpus/<name>/ beside it. Where libFuzzer is built in (asan-ubsan), ctest runs it as fuzz.<name> for JOBGATE_FUZZ_S
# seconds; elsewhere it is not built.
set(JOBGATE_FUZZ_S 10 CACHE STRING "Seconds for which ctest runs each fuzz target")
function(jobgate_fuzz_target name)
    if(NOT JOBGATE_FUZZ)
        return()
    endif()
    jobgate_test_program(fuzz_${name} CORE SOURCES ${ARGN})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    # libFuzzer keeps what it finds in the first folder and only reads the others.
    set(found "${PROJECT_BINARY_DIR}/fuzz/${name}")
    set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
    file(MAKE_DIRECTORY "${found}")
    add_test(
        NAME fuzz.${name}
        COMMAND fuzz_${name} -max_total_time=${JOBGATE_FUZZ_S} -timeout=10 -rss_limit_mb=2048 -print_final_stats=0
                -artifact_prefix=${PROJECT_BINARY_DIR}/fuzz/${name}- "${found}" "${seeds}"
    )
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 600 ENVIRONMENT "${JOBGATE_TEST_ENVIRONMENT}")
endfunction()

# What the sanitizers' runtimes read. Kept here once: tests/conftest.py takes it from the generated file.
set(JOBGATE_TEST_ENVIRONMENT "")
if(JOBGATE_SANITIZE MATCHES "address")
    list(APPEND JOBGATE_TEST_ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
         "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
         "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0"
    )
elseif(JOBGATE_SANITIZE MATCHES "thread")
    list(APPEND JOBGATE_TEST_ENVIRONMENT
         "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp:second_deadlock_stack=1:halt_on_error=0:exitcode=66"
    )
endif()
string(REPLACE ";" "\n" environment_lines "${JOBGATE_TEST_ENVIRONMENT}")
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/test_environment" CONTENT "${environment_lines}\n")
