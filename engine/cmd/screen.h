// screen.h - a text drawn on a terminal in place of the one before it.
#pragma once
#include "base/slice.h"
#include <stdio.h>

// Its first line in bold; lines are cut to the terminal's width, and their number to its height: the last
// line then says how many more there are.
void screen_draw(struct slice text, FILE *terminal);
