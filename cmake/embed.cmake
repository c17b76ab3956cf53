# cmake -DIN=FILE -DOUT=FILE.c -DNAME=name -P embed.cmake: a file as an array in C.
file(READ ${IN} bytes HEX)
string(LENGTH "${bytes}" n)
math(EXPR n "${n} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT}
"#include \"client/exporter/page.h\"

const unsigned char ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_bytes = ${n};
")
