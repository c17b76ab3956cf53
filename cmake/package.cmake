# What the system needs besides programs and libraries (systemd's units, a user, a directory, an example of
# the configuration), and the Debian packages that are made of it all.
option(SLABD_SYSTEM "Install units, sysusers.d and tmpfiles.d for systemd" ON)
option(SLABD_PACKAGE "Lay out for a Debian package: also /etc/slabd/slabd.conf" OFF)
set(SLABD_MAINTAINER "the slabd authors <slabd@localhost>" CACHE STRING "Who makes the Debian packages")
set(PACKAGE ${PROJECT_SOURCE_DIR}/cmake/package)

slabd_glob(PAGES docs/man/*)
foreach(page ${PAGES})
  cmake_path(GET page FILENAME name)
  string(REGEX REPLACE ".*\\." "man" section ${name})
  string(REGEX REPLACE "\\..*" "" component ${name}) # slabd.conf.5: slabd
  string(REGEX REPLACE "^libslabd$" "libslabd-dev" component ${component})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/${section} COMPONENT ${component})
  if(SLABD_PACKAGE)
    install(CODE "execute_process(COMMAND gzip -9nf
                  \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/${section}/${name}\"
                  COMMAND_ERROR_IS_FATAL ANY)"
            COMPONENT ${component})
  endif()
endforeach()

install(FILES ${PACKAGE}/slabd.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT slabd)
install(FILES docs/probes.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT slabd)
install(DIRECTORY docs/bpftrace DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT slabd)
install(FILES docs/metrics.md docs/grafana-dashboard.json docs/prometheus-alerts.yml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/slabd-exporter COMPONENT slabd-exporter)
if(SLABD_SYSTEM)
  # systemd looks into lib of /usr and /usr/local, whatever libdir is. Units name the programs where
  # --prefix put them, so they are made while installing.
  set(UNITS lib/systemd/system)
  set(PROGRAM_DIRS
      "set(SBINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
       set(BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")")
  foreach(unit slabd slabd-exporter)
    install(CODE "${PROGRAM_DIRS}
                  set(made \"\${CMAKE_INSTALL_PREFIX}/${UNITS}/${unit}.service\")
                  message(STATUS \"Installing: \$ENV{DESTDIR}\${made}\")
                  configure_file(\"${PACKAGE}/${unit}.service.in\" \"\$ENV{DESTDIR}\${made}\" @ONLY)
                  list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${made}\")"
            COMPONENT ${unit})
  endforeach()
  install(FILES ${PACKAGE}/slabd.socket DESTINATION ${UNITS} COMPONENT slabd)
  install(FILES ${PACKAGE}/sysusers.conf DESTINATION lib/sysusers.d RENAME slabd.conf COMPONENT slabd)
  install(FILES ${PACKAGE}/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME slabd.conf COMPONENT slabd)
endif()
if(NOT SLABD_PACKAGE)
  return()
endif()

# --- Debian: a package a component ----------------------------------------------------------------------
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL slabd slabctl libslabd0 libslabd-dev slabd-exporter)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_SET_DESTDIR ON) # /etc is not below the prefix
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON) # NAME-dbgsym, as debhelper makes them; the rest is stripped
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_CONTACT "${SLABD_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)

# slabd_package(COMPONENT SUMMARY [KEY VALUE]...): the long text is cmake/package/COMPONENT/description.
macro(slabd_package component summary)
  string(TOUPPER ${component} upper)
  file(READ ${PACKAGE}/${component}/description text)
  string(STRIP "${text}" text)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${component})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${text}")
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}\n${text}")
  foreach(script postinst prerm postrm conffiles triggers)
    if(EXISTS ${PACKAGE}/${component}/${script})
      list(APPEND CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${PACKAGE}/${component}/${script})
    endif()
  endforeach()
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/${component} RENAME copyright
          COMPONENT ${component})
  install(FILES ${PROJECT_BINARY_DIR}/changelog.gz DESTINATION share/doc/${component} COMPONENT ${component})
endmacro()

# What changed is in NEWS.md; Debian's form of it names the release. SOURCE_DATE_EPOCH sets the date.
string(TIMESTAMP DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${PACKAGE}/changelog.in changelog @ONLY)
execute_process(COMMAND gzip -9nf changelog WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)

install(FILES ${PACKAGE}/slabd.conf DESTINATION /etc/slabd COMPONENT slabd)
slabd_package(slabd "pool of objects that processes share (daemon)")
slabd_package(slabctl "pool of objects that processes share (operator's tool)")
slabd_package(slabd-exporter "pool of objects that processes share (metrics)")
slabd_package(libslabd0 "pool of objects that processes share (library)")
slabd_package(libslabd-dev "pool of objects that processes share (development files)")
set(CPACK_DEBIAN_SLABD_PACKAGE_RECOMMENDS slabctl)
set(CPACK_DEBIAN_SLABD-EXPORTER_PACKAGE_RECOMMENDS slabd)
set(CPACK_DEBIAN_LIBSLABD0_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBSLABD-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBSLABD-DEV_PACKAGE_DEPENDS "libslabd0 (= ${PROJECT_VERSION}), libprotobuf-c-dev")
include(CPack)
