# What the shells complete, printed by the slabctl that was just built. Not when it can't run here.
if(CMAKE_CROSSCOMPILING)
  return()
endif()
set(COMPLETION ${PROJECT_BINARY_DIR}/completion)
set(COMPLETION_bash slabctl)
set(COMPLETION_zsh _slabctl)
set(COMPLETION_fish slabctl.fish)
file(MAKE_DIRECTORY ${COMPLETION})
foreach(shell bash zsh fish)
  add_custom_command(
    OUTPUT ${COMPLETION}/${COMPLETION_${shell}}
    COMMAND slabctl --completion ${shell} > ${COMPLETION}/${COMPLETION_${shell}}
    DEPENDS slabctl
    COMMENT "slabctl --completion ${shell}"
    VERBATIM)
  list(APPEND COMPLETIONS ${COMPLETION}/${COMPLETION_${shell}})
endforeach()
add_custom_target(completions ALL DEPENDS ${COMPLETIONS})

install(FILES ${COMPLETION}/slabctl DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        COMPONENT slabctl)
install(FILES ${COMPLETION}/slabctl.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT slabctl)
# zsh looks below /usr where distributions put theirs, and below /usr/local where the others do.
install(CODE "
  set(folder site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES \"/usr$\")
    set(folder vendor-completions)
  endif()
  file(INSTALL \"${COMPLETION}/_slabctl\"
       DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${folder}\")"
        COMPONENT slabctl)
