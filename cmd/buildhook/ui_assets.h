/* The style sheet and the script of the page, as they stand in ui.css and ui.js. */
#pragma once

#include "base/str.h"

struct str ui_style(void);
struct str ui_script(void);
