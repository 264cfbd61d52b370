// SPDX-License-Identifier: BSD-3-Clause
//
// Files and directories that end with the test, and devices on them.
#pragma once

#include "device/device.h"
#include "device/open.h"
#include "format/layout.h"

#include <filesystem>
#include <string>

namespace daxpin::device {

inline constexpr const char *on_disk = "/var/tmp";   // never a tmpfs
inline constexpr const char *in_memory = "/dev/shm"; // always one

class TempDirectory {
  public:
    explicit TempDirectory(const std::string &parent = in_memory);
    ~TempDirectory();
    TempDirectory(const TempDirectory &) = delete;
    TempDirectory &operator=(const TempDirectory &) = delete;

    const std::string &path() const { return path_; }
    // A new file of `size` zero bytes; its path.
    std::string file(const std::string &name, std::uint64_t size) const;

  private:
    std::string path_;
};

std::unique_ptr<Device> open_or_fail(const std::string &path, const OpenOptions &options = {});

// The text of the error of opening `path`, "" if it opens.
std::string open_text(const std::string &path, const OpenOptions &options = {});

// Maps a page behind whose file nothing is over the page at `offset`: any access raises SIGBUS.
void poison(const Device &device, std::uint64_t offset);

// A label and a superblock as mkfs would write them.
format::DeviceLabel label_for(const Device &device, unsigned index = 0, unsigned count = 1,
                              unsigned volume = 1);
format::Superblock superblock_for(const Device &device, unsigned volume = 1);

} // namespace daxpin::device
