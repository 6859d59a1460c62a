// From addresses of instructions to lines of the source, and what is known of a library's memory.
#pragma once

#include <string>

namespace cuda_on_cpu {

// FILE:LINE of the instruction before an address: the innermost place that does not lie in this emulation.
const std::string& code_position(const void* code);

// Whether an address lies in a loaded library or program: tables of constants.
bool is_constant(const void* address);

}  // namespace cuda_on_cpu
