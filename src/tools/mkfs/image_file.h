// SPDX-License-Identifier: BSD-3-Clause
//
// ImageFile: the file that --size makes. Removed again unless keep() is called, also when a
// signal ends the program.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>

namespace daxpin::mkfs {

class [[nodiscard]] ImageFile {
  public:
    // Makes `path`, every block allocated, so that no later store can lack space.
    // ERRORS: exists, no_space, access, not_found, each with a text.
    static Result<ImageFile> create(const std::string &path, std::uint64_t size,
                                    const std::function<void(double done)> &progress);

    ImageFile() = default;
    ImageFile(ImageFile &&other) noexcept;
    ImageFile &operator=(ImageFile &&other) noexcept;
    ~ImageFile() { remove(); }

    void keep() noexcept;

  private:
    explicit ImageFile(std::string path);
    void remove() noexcept;
    std::string path_;
};

} // namespace daxpin::mkfs
