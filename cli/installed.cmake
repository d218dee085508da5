# The manual page and the shells' completions, made by the program itself once it is built.
set(MOESIM_SHARE ${PROJECT_BINARY_DIR}/share)
add_custom_command(
  OUTPUT ${MOESIM_SHARE}/moesim.1 ${MOESIM_SHARE}/moesim.bash ${MOESIM_SHARE}/moesim.zsh ${MOESIM_SHARE}/moesim.fish
  COMMAND ${CMAKE_COMMAND} -E make_directory ${MOESIM_SHARE}
  COMMAND moesim man > ${MOESIM_SHARE}/moesim.1
  COMMAND moesim completion bash > ${MOESIM_SHARE}/moesim.bash
  COMMAND moesim completion zsh > ${MOESIM_SHARE}/moesim.zsh
  COMMAND moesim completion fish > ${MOESIM_SHARE}/moesim.fish
  DEPENDS moesim VERBATIM)
add_custom_target(moesim_share ALL DEPENDS ${MOESIM_SHARE}/moesim.1)

install(FILES ${MOESIM_SHARE}/moesim.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${MOESIM_SHARE}/moesim.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME moesim)
install(FILES ${MOESIM_SHARE}/moesim.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _moesim)
install(FILES ${MOESIM_SHARE}/moesim.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
