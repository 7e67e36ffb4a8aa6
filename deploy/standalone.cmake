# Included with STANDALONE: the libraries in their static form, and what makes the program run on a
# module as it is. tests/arm64/check_program.py checks the result.

set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
add_compile_options(-g1 -ffunction-sections -fdata-sections)

# Debian's -dev package exists for one architecture at a time.
if(NOT EXISTS ${SIMDJSON_SOURCE}/src/simdjson.cpp)
  message(FATAL_ERROR "SIMDJSON_SOURCE must name simdjson's source, not '${SIMDJSON_SOURCE}'")
endif()
add_library(simdjson STATIC ${SIMDJSON_SOURCE}/src/simdjson.cpp)
target_include_directories(simdjson SYSTEM PUBLIC ${SIMDJSON_SOURCE}/include
  PRIVATE ${SIMDJSON_SOURCE}/src)

# One instruction set, known when compiling: nothing of libhwy itself is needed.
add_compile_definitions(HWY_COMPILE_ONLY_STATIC)
add_library(hwy INTERFACE)
add_library(PkgConfig::HWY ALIAS hwy)

# Its headers are the same everywhere, and of the library only the shared object is needed.
find_file(ZMQ_LIBRARY libzmq.so.5 PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} REQUIRED)
add_library(zmq SHARED IMPORTED)
set_target_properties(zmq PROPERTIES IMPORTED_LOCATION ${ZMQ_LIBRARY})
# Its own libraries are the module's business.
target_link_options(zmq INTERFACE -Wl,--allow-shlib-undefined)
add_library(PkgConfig::ZMQ ALIAS zmq)

# libzmq brings a second C++ runtime into the process: none of ours may be seen by it.
file(WRITE ${PROJECT_BINARY_DIR}/exports.map "{ local: *; };\n")

# The program without debug information, which goes to TARGET.debug beside it. Without
# --gc-sections a function of the C++ runtime that nobody calls asks for a symbol of glibc 2.36.
function(make_standalone target)
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc -Wl,--as-needed -Wl,--gc-sections
    -Wl,--version-script=${PROJECT_BINARY_DIR}/exports.map -Wl,--exclude-libs=ALL
    -Wl,--enable-new-dtags
    -Wl,-rpath,/opt/m5stack/lib:/usr/local/m5stack/lib:/opt/lib)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} --only-keep-debug $<TARGET_FILE:${target}> $<TARGET_FILE:${target}>.debug
    COMMAND ${CMAKE_STRIP} $<TARGET_FILE:${target}>
    COMMAND ${CMAKE_OBJCOPY} --add-gnu-debuglink=$<TARGET_FILE:${target}>.debug
            $<TARGET_FILE:${target}>)
endfunction()
