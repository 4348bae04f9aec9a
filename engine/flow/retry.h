// retry.h - when a failed batch goes again.
#pragma once
#include <stdint.h>

// Exponential with full jitter: a random time up to 1 s doubled for each attempt, at most 5 minutes; a receiver's Retry-After (-1: none)
// counts instead, up to an hour. attempt: how often it has failed, from 1. random: any number.
uint64_t retry_delay_ms(uint32_t attempt, int64_t retry_after_ms, uint64_t random);
