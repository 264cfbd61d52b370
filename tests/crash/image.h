// SPDX-License-Identifier: BSD-3-Clause
//
// Image: what the media of a run look like when its steps begin: a start, the place in the ring
// and the persistence domain. Written "START[+wrap][+byte|+page]".
#pragma once

#include "device/device.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daxpin::crash {

enum class Start {
    fresh,       // just mounted, everything home, an empty ring
    dirty,       // the setup's records are in the ring, their homes not written back
    lap,         // the ring is full of records whose homes are dirty: the step must checkpoint
    full,        // no block is free
    nearly_full, // two blocks are free
    split_names, // the leaf that holds the root's entries is about to split
    split_files, // the leaf that holds the newest inodes is about to split
    full_root,   // the tree's root has all the children it can: a leaf that splits splits it, too
    two_devices, // metadata on one, data on another; dirty
    known,       // dirty; the kernel remembers every inode with a name, as it does for long
    crashed      // as a power failure left it, at a moment chosen by the seed
};
inline constexpr Start all_starts[] = {Start::fresh,       Start::dirty,       Start::lap,
                                       Start::full,        Start::nearly_full, Start::split_names,
                                       Start::split_files, Start::full_root,   Start::two_devices,
                                       Start::known,       Start::crashed};

struct Image {
    Start start = Start::fresh;
    bool wrap = false; // the first step's record begins at the ring's last 64 bytes
    device::Domain domain = device::Domain::cache_line;

    // The setup is part of what is recorded; in the others its outcome is home before.
    bool records_setup() const {
        return start == Start::dirty || start == Start::two_devices || start == Start::known;
    }
    bool is_short_of_space() const { return start == Start::full || start == Start::nearly_full; }
    bool operator==(const Image &) const = default;
};

const char *to_string(Start start) noexcept;
std::string to_string(const Image &image);
std::optional<Image> parse_image(std::string_view text);

// Every start, with the ring at its beginning and about to wrap.
std::vector<Image> all_images(device::Domain domain);

} // namespace daxpin::crash
