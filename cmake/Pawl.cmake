# One verb per kind of target. Each carries the warnings, the sanitizers and the floor number, so that
# a dependency that points up fails configuration.

set(PAWL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                  -Wnon-virtual-dtor -Woverloaded-virtual -Werror)

if(PAWL_FUZZ)
  # GCC is the judge of warnings; here another compiler looks for crashes.
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PAWL_FUZZ needs clang, for libFuzzer. scripts/fuzz installs it.")
  endif()
  set(PAWL_WARNINGS -Wall)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(PAWL_CCACHE ccache)
if(PAWL_CCACHE)
  # Clones share the cache, wherever they lie.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                                  CCACHE_NOHASHDIR=true ${PAWL_CCACHE})
endif()

function(_pawl_common target)
  target_compile_options(${target} PRIVATE ${PAWL_WARNINGS})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${target} PUBLIC FMT_HEADER_ONLY SPDLOG_FMT_EXTERNAL_HO)
  if(PAWL_SANITIZE)
    # GCC 12 sees uninitialized members in <stop_token> and <optional> once sanitizers instrument them.
    target_compile_options(${target} PUBLIC -fsanitize=${PAWL_SANITIZE} -fno-omit-frame-pointer
                                            -Wno-maybe-uninitialized)
    if(PAWL_SANITIZE STREQUAL thread)
      # Boost.Asio has fences, which ThreadSanitizer does not see; its loop has one thread here.
      target_compile_options(${target} PUBLIC -Wno-tsan)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${PAWL_SANITIZE})
  endif()
  if(PAWL_FAULT_POINTS)
    target_compile_definitions(${target} PUBLIC PAWL_FAULT_POINTS)
  endif()
  if(PAWL_MUTANT)
    target_compile_definitions(${target} PUBLIC PAWL_MUTANT_${PAWL_MUTANT})
  endif()
endfunction()

# pawl_library(NAME FLOOR n SOURCES … [USES pawl libraries …] [LINKS external targets …])
# Sources are named relative to the calling folder. Siblings on one floor do not know each other.
function(pawl_library name)
  cmake_parse_arguments(ARG "" "FLOOR" "SOURCES;USES;LINKS" ${ARGN})
  add_library(pawl_${name} ${ARG_SOURCES})  # Shared in dev and tsan: CMakePresets.json.
  add_library(pawl::${name} ALIAS pawl_${name})
  set_target_properties(pawl_${name} PROPERTIES PAWL_FLOOR ${ARG_FLOOR})
  _pawl_common(pawl_${name})
  foreach(used IN LISTS ARG_USES)
    get_target_property(used_floor pawl_${used} PAWL_FLOOR)
    if(NOT used_floor LESS ARG_FLOOR)
      message(FATAL_ERROR "${name} (floor ${ARG_FLOOR}) must not use ${used} (floor ${used_floor})")
    endif()
    target_link_libraries(pawl_${name} PUBLIC pawl_${used})
  endforeach()
  target_link_libraries(pawl_${name} PUBLIC ${ARG_LINKS})

  # The link graph alone does not stop an include; this does.
  file(GLOB_RECURSE sources ${CMAKE_CURRENT_SOURCE_DIR}/*.h ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(allowed ${name} ${ARG_USES})
  foreach(source IN LISTS sources)
    file(STRINGS ${source} lines REGEX "^#include \"(db|schema|batching|checkpoints|verify|engine|control|cli)/")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#include \"([a-z]+)/.*" "\\1" folder "${line}")
      if(NOT folder IN_LIST allowed)
        message(FATAL_ERROR "${source} includes ${folder}/, which ${name} (floor ${ARG_FLOOR}) does not use")
      endif()
    endforeach()
  endforeach()
endfunction()

# pawl_test(NAME LABEL unit|pg|fault|e2e SOURCES … USES pawl libraries …): a GoogleTest binary, one
# ctest entry per binary.
function(pawl_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  _pawl_common(${name})
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(${name} PRIVATE pawl_${used})
  endforeach()
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest GTest::gtest_main ${ARG_LINKS})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# pawl_benchmark(NAME SOURCES … USES …): a Google Benchmark or stand-alone timing binary.
function(pawl_benchmark name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  _pawl_common(${name})
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(${name} PRIVATE pawl_${used})
  endforeach()
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
endfunction()
