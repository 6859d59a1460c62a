// Stands in for CUDA's header of this name: kernels are compiled as C++ and run on the CPU.
#pragma once

#include "emulation/arithmetic.h"
#include "emulation/atomics.h"
#include "emulation/collectives.h"
#include "emulation/events.h"
#include "emulation/indices.h"
#include "emulation/launch.h"
#include "emulation/memory_access.h"
#include "emulation/runtime_api.h"
#include "emulation/shared_memory.h"
#include "emulation/vector_types.h"
#include "emulation/warp.h"
