// test_sinks.h - sinks under test, for specs: requests made as `sluice pipe --sink` makes them.
#pragma once
#include "script/spec.h"

extern const struct spec_sinks test_sinks;
