# One CMake target per folder of src/, sources and tests found by name, so that none can be forgotten.

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# -ffp-contract=off: a multiply-add is fused only where the source says fma (docs: shared numerics, "same bytes").
add_library(unha_flags INTERFACE)
target_compile_options(unha_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wdouble-promotion
  -Wnon-virtual-dtor -Wimplicit-fallthrough -ffp-contract=off
  $<$<BOOL:${UNHA_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(unha_flags INTERFACE -Wno-restrict)  # false alarms on std::string in GCC 12 (bug 105329)
endif()
if(UNHA_SANITIZE)
  target_compile_options(unha_flags INTERFACE -fsanitize=${UNHA_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(unha_flags INTERFACE -fsanitize=${UNHA_SANITIZE})
endif()
if(UNHA_FUZZ)
  target_compile_options(unha_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(unha_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)

if(UNHA_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# unha_add_tests(TARGET LABEL SOURCES... ): one GoogleTest program, every TEST a ctest of its own.
function(unha_add_tests target label libs)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE unha_flags ${libs} GTest::gtest_main)
  target_compile_definitions(${target} PRIVATE
    UNHA_SOURCE_DIR="${CMAKE_SOURCE_DIR}" UNHA_BINARY="${CMAKE_BINARY_DIR}/unha")
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${label}" TIMEOUT 1500 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()

# unha_module(NAME n [DEPS modules...] [LIBS targets...])
#   src/n/*.cc -> library unha_n;  src/n/*_test.cc -> test_n (label fast);  src/n/*_slow_test.cc -> test_n_slow (label slow)
function(unha_module)
  cmake_parse_arguments(M "" "NAME" "DEPS;LIBS" ${ARGN})
  file(GLOB all CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${M_NAME}/*.cc ${CMAKE_SOURCE_DIR}/src/${M_NAME}/*/*.cc)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  set(slow ${all})
  list(FILTER slow INCLUDE REGEX "_slow_test\\.cc$")
  set(fast ${all})
  list(FILTER fast INCLUDE REGEX "_test\\.cc$")
  list(FILTER fast EXCLUDE REGEX "_slow_test\\.cc$")
  set(deps ${M_DEPS})
  list(TRANSFORM deps PREPEND unha_)
  if(sources)
    add_library(unha_${M_NAME} STATIC ${sources})
    target_link_libraries(unha_${M_NAME} PUBLIC unha_flags ${deps} ${M_LIBS})
  else()
    add_library(unha_${M_NAME} INTERFACE)
    target_link_libraries(unha_${M_NAME} INTERFACE unha_flags ${deps} ${M_LIBS})
  endif()
  if(UNHA_TESTS AND fast)
    unha_add_tests(test_${M_NAME} fast unha_${M_NAME} ${fast})
  endif()
  if(UNHA_TESTS AND slow)
    unha_add_tests(test_${M_NAME}_slow slow unha_${M_NAME} ${slow})
  endif()
endfunction()

function(unha_program)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/src/app/main.cc)
    return()
  endif()
  # A target of its own that runs at every build, so that the commit is that of the build and not of the configure.
  set(generated ${CMAKE_BINARY_DIR}/generated)
  add_custom_target(unha_commit BYPRODUCTS ${generated}/unha_commit.h
    COMMAND ${CMAKE_COMMAND} -D SOURCE_DIR=${CMAKE_SOURCE_DIR} -D OUTPUT=${generated}/unha_commit.h
            -P ${CMAKE_SOURCE_DIR}/cmake/commit.cmake
    COMMENT "")
  add_dependencies(unha_app unha_commit)
  target_include_directories(unha_app PRIVATE ${generated})
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/app/version.cc PROPERTIES COMPILE_DEFINITIONS
    "UNHA_VERSION=\"${PROJECT_VERSION}\"")
  add_executable(unha ${CMAKE_SOURCE_DIR}/src/app/main.cc)
  target_link_libraries(unha PRIVATE unha_app)
  install(TARGETS unha)
endfunction()

# tests/*_test.cc cross folders; they may run the program itself.
function(unha_cross_tests)
  foreach(kind fast slow)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*_test.cc)
    if(kind STREQUAL slow)
      list(FILTER sources INCLUDE REGEX "_slow_test\\.cc$")
      set(target test_cross_slow)
    else()
      list(FILTER sources EXCLUDE REGEX "_slow_test\\.cc$")
      set(target test_cross)
    endif()
    if(sources)
      unha_add_tests(${target} ${kind} unha_app ${sources})
      if(TARGET unha)
        add_dependencies(${target} unha)
      endif()
    endif()
  endforeach()
endfunction()

# fuzz/x_fuzz.cc -> fuzz_x
function(unha_fuzzers)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*_fuzz.cc)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" name ${name})
    add_executable(fuzz_${name} ${source})
    target_link_libraries(fuzz_${name} PRIVATE unha_app -fsanitize=fuzzer)
  endforeach()
endfunction()
