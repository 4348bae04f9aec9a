// rand.h - random numbers: for secrets and ids from the kernel, for jitter from a fast generator.
#pragma once
#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len); // the kernel's; fit for tokens
uint64_t rand_u64(void);                // fast, a state a thread; not for secrets
// Tests: this thread's rand_u64 starts from this seed.
void rand_seed(uint64_t seed);

enum { RAND_ID_BYTES = 32 };
// A new id such as "st_4f1c..." (prefix, '_', 20 base-32 characters from 100 random bits) into out[RAND_ID_BYTES].
void rand_id(const char *prefix, char *out);
