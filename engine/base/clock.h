// clock.h - the time, as the engine sees it; tests set it.
#pragma once
#include <stddef.h>
#include <stdint.h>

int64_t clock_ms(void);        // milliseconds since 1970 UTC
uint64_t clock_mono_ns(void);  // nanoseconds, never going back
uint64_t clock_mono_ms(void);
uint64_t clock_thread_ns(void); // processor time that this thread has used

// Tests: the wall clock stands at `ms`; 0 lets it run again.
void clock_set_ms(int64_t ms);

enum { CLOCK_ISO_BYTES = 32 };
// "2026-11-20T08:00:00.123Z" into `out` (CLOCK_ISO_BYTES); returns out.
char *clock_iso(int64_t ms, char *out);
