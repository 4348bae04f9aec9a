// crc32c.h - CRC-32C (Castagnoli, as in RFC 3720), by the processor's instruction where it has one.
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t before, const void *at, size_t len); // before: 0, or the result so far
// The same without the instruction; exported so that tests reach it on every processor.
uint32_t crc32c_by_table(uint32_t before, const void *at, size_t len);
