#include "script/lua_class.h"

// Control, space, digit, upper, lower, punctuation, hexadecimal.
enum { C = 1, S = 2, D = 4, U = 8, L = 16, P = 32, X = 64 };

const uint8_t lua_class_kinds[32] = {
    ['a' & 31] = U | L, ['c' & 31] = C, ['d' & 31] = D, ['g' & 31] = D | U | L | P, ['l' & 31] = L,
    ['p' & 31] = P,     ['s' & 31] = S, ['u' & 31] = U, ['w' & 31] = D | U | L,     ['x' & 31] = X,
};

// clang-format off
const uint8_t lua_class_bits[256] = { // sixteen a line; from 128 on none
    C, C, C, C, C, C, C, C, C, C | S, C | S, C | S, C | S, C | S, C, C,
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
    S, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    D | X, D | X, D | X, D | X, D | X, D | X, D | X, D | X, D | X, D | X, P, P, P, P, P, P,
    P, U | X, U | X, U | X, U | X, U | X, U | X, U, U, U, U, U, U, U, U, U,
    U, U, U, U, U, U, U, U, U, U, U, P, P, P, P, P,
    P, L | X, L | X, L | X, L | X, L | X, L | X, L, L, L, L, L, L, L, L, L,
    L, L, L, L, L, L, L, L, L, L, L, P, P, P, P, C,
};
// clang-format on
