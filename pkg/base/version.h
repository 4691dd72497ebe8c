/* The program's version: the file VERSION, and the commit it was built from. */
#pragma once

extern const char version_text[];
