// SPDX-License-Identifier: BSD-3-Clause
//
// Standard input, output and error of a program.
#pragma once

namespace daxpin {

// Opens /dev/null for each of descriptors 0 to 2 that is closed. Otherwise the next file to be
// opened, a device perhaps, takes its place, and what is printed goes there.
// REQUIRES: called before anything is opened.
void open_standard_files() noexcept;

// Writes what stdout still holds; false if that, or anything printed before, could not be written.
[[nodiscard]] bool write_standard_output() noexcept;

} // namespace daxpin
