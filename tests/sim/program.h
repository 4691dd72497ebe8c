/* What a program of simulated worlds needs around them: numbers it was given, folders, a count. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Ends the program where TEXT is not a number of at least MIN. */
uint64_t program_number(const char *text, uint64_t min);
/* Empty, whatever was there. */
void program_make_folder(const char *path);
void program_remove_folder(const char *path);
/* For the sum that `make test` shows. */
void program_count(size_t passed, size_t failed);
