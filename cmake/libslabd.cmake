# libslabd as users get it: a shared and a static library, headers, pkg-config and CMake packages.
set(SLABD_MAP ${PROJECT_SOURCE_DIR}/client/libslabd.map)

# --- libslabd.so: exports what the map lists, binds to itself, and stays once loaded (the thread
# destructor and a forked child's first call must find its code).
add_library(libslabd SHARED $<TARGET_OBJECTS:slabd_client>)
target_include_directories(
  libslabd PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/client/include>
                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(libslabd PRIVATE slabd_shm slabd_proto Threads::Threads)
set_target_properties(
  libslabd PROPERTIES OUTPUT_NAME slabd EXPORT_NAME slabd LINKER_LANGUAGE C
                      VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${SLABD_MAP})
target_link_options(libslabd PRIVATE LINKER:-Bsymbolic,-z,nodelete
                    LINKER:--version-script=${SLABD_MAP})
if(NOT SLABD_SANITIZE) # a sanitizer's runtime comes with the program, not with the library
  target_link_options(libslabd PRIVATE LINKER:-z,defs)
endif()

# --- libslabd.a: one object in which every name that is not public has become local, so that a
# program's own `depot_put` or another copy of generated protobuf code never meets ours.
set(SLABD_ARCHIVE ${PROJECT_BINARY_DIR}/lib/libslabd.a)
set(SLABD_OBJECT ${PROJECT_BINARY_DIR}/lib/slabd.o)
add_custom_command(
  OUTPUT ${SLABD_ARCHIVE}
  COMMAND ${CMAKE_LINKER} -r -o ${SLABD_OBJECT} $<TARGET_OBJECTS:slabd_client>
          $<TARGET_FILE:slabd_proto> $<TARGET_FILE:slabd_shm>
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${SLABD_OBJECT}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${SLABD_ARCHIVE}
  COMMAND ${CMAKE_AR} qcs ${SLABD_ARCHIVE} ${SLABD_OBJECT}
  DEPENDS slabd_client slabd_proto slabd_shm
  COMMENT "Linking C static library lib/libslabd.a"
  COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(libslabd_static ALL DEPENDS ${SLABD_ARCHIVE})

# --- packages
install(TARGETS libslabd EXPORT slabd LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT libslabd0 NAMELINK_COMPONENT libslabd-dev)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME libslabd-dev)
install(FILES ${SLABD_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY client/include/slabd DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

set(SLABD_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH SLABD_PC_UP /${SLABD_PKGCONFIG_DIR} /)
string(REGEX REPLACE "/$" "" SLABD_PC_UP "${SLABD_PC_UP}")
configure_file(libslabd.pc.in libslabd.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/libslabd.pc DESTINATION ${SLABD_PKGCONFIG_DIR})

include(CMakePackageConfigHelpers)
set(SLABD_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/slabd)
configure_package_config_file(cmake/slabdConfig.cmake.in slabdConfig.cmake
                              INSTALL_DESTINATION ${SLABD_CMAKE_DIR}
                              PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(slabdConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT slabd NAMESPACE slabd:: FILE slabdTargets.cmake DESTINATION ${SLABD_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/slabdConfig.cmake ${PROJECT_BINARY_DIR}/slabdConfigVersion.cmake
        DESTINATION ${SLABD_CMAKE_DIR})
unset(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME)

# gdb loads by itself what lies below its auto-load under the name of a library, whole path included.
install(CODE "
  set(library \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libslabd.so.${PROJECT_VERSION}\")
  cmake_path(GET library PARENT_PATH folder)
  file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/gdb/auto-load\${folder}\" TYPE FILE
       RENAME \"libslabd.so.${PROJECT_VERSION}-gdb.py\" FILES \"${PROJECT_SOURCE_DIR}/client/gdb/slabd-gdb.py\")"
        COMPONENT libslabd-dev)
