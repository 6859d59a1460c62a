// Stands in for CUB's header of this name: the device-wide calls that a rasterizer needs.
#pragma once

#include "cub/device/device_radix_sort.cuh"
#include "cub/device/device_reduce.cuh"
#include "cub/device/device_scan.cuh"
#include "cub/device/device_select.cuh"
