# How everything is compiled. One place, so that the fast path and the daemon differ only where it says so.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wundef -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
  -Wwrite-strings -Wformat=2 -Werror)

# PIE, RELRO and immediate binding everywhere.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(LINKER:-z,relro,-z,now)

# A canary on every stack of the daemon and slabctl; the client's fast path goes without.
set(SLABD_HARDEN -fstack-protector-strong)

if(SLABD_SANITIZE)
  # -O1: quick enough for the whole suite. No recovery: the first report ends the process.
  set(SLABD_SANITIZE_FLAGS -fsanitize=${SLABD_SANITIZE} -fno-sanitize-recover=all)
  add_compile_options(${SLABD_SANITIZE_FLAGS} -O1 -fno-omit-frame-pointer)
  add_link_options(${SLABD_SANITIZE_FLAGS})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
