/* Takes the files into the program by the assembler, which C before #embed cannot. */
#include "ui_assets.h"

#define TAKE_FILE(symbol, path)                                                                    \
	__asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"" path "\"\n" #symbol               \
		"_end:\n.byte 0\n.popsection\n");                                                  \
	extern const char symbol[];                                                                \
	extern const char symbol##_end[]

TAKE_FILE(ui_style_bytes, "cmd/buildhook/ui.css");
TAKE_FILE(ui_script_bytes, "cmd/buildhook/ui.js");

struct str ui_style(void)
{
	return str_range(ui_style_bytes, (size_t)(ui_style_bytes_end - ui_style_bytes));
}

struct str ui_script(void)
{
	return str_range(ui_script_bytes, (size_t)(ui_script_bytes_end - ui_script_bytes));
}
