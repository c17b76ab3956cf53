# What the system needs besides programs and libraries: systemd's units, a user, a directory, an example
# of the configuration. Units name the programs where --prefix put them, so they are made while installing.
option(SLABD_SYSTEM "Install units, sysusers.d and tmpfiles.d for systemd" ON)
set(PACKAGE ${PROJECT_SOURCE_DIR}/cmake/package)

install(FILES ${PACKAGE}/slabd.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT slabd)
if(SLABD_SYSTEM)
  # systemd looks into lib of /usr and /usr/local, whatever libdir is.
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
