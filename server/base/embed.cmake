# Writes OUTPUT, a C file with the table that server/base/embed.h describes.
# Called as: cmake -DROOT=<source dir> -DOUTPUT=<file> -DFILES=<a;b;c> -P embed.cmake
# (gcc 12 has no #embed.) Every file gets a NUL behind it, so that text can be used as a C string.
separate_arguments(FILES UNIX_COMMAND "${FILES}")
list(SORT FILES)
set(bodies "")
set(rows "")
set(index 0)
foreach(file IN LISTS FILES)
    file(READ "${ROOT}/${file}" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR bytes "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," body "${hex}")
    string(APPEND bodies "static const unsigned char file_${index}[] = {${body}0};\n")
    string(APPEND rows "    {\"${file}\", (const char *)file_${index}, ${bytes}},\n")
    math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}.new" "#include \"server/base/embed.h\"\n\n${bodies}
extern const struct embed_file embed_files[];
const struct embed_file embed_files[] = {\n${rows}    {0, 0, 0},\n};
extern const size_t embed_files_count;
const size_t embed_files_count = ${index};\n")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
