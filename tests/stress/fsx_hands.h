// SPDX-License-Identifier: BSD-3-Clause
//
// Hands: carries out orders on the file, with two descriptors and a mapping of their own.
// Helper: the same in a second process, which lives as long as the object.
//
// The data that an order writes is at the start of the buffer, and the data that it read is put
// there. The buffer is shared with the helper.
#pragma once

#include "fsx_order.h"

#include <span>
#include <string>
#include <sys/types.h>

namespace stress {

class Hands {
  public:
    // Opens the file, which must exist.
    Hands(std::string path, std::uint64_t size_max, std::span<std::uint8_t> buffer);
    ~Hands();
    Hands(const Hands &) = delete;
    Hands &operator=(const Hands &) = delete;

    Answer execute(const Order &order);

  private:
    Answer perform(const Order &order);
    Answer read(const Order &order);
    Answer write(const Order &order);
    Answer mapped(const Order &order);
    Answer fallocate(const Order &order);
    Answer copy(const Order &order);
    Answer sync(const Order &order);
    Answer unmap();
    Answer reopen(const Order &order);
    Answer seek(const Order &order);
    Answer check(const Order &order);

    std::string path_;
    std::uint64_t size_max_;
    std::span<std::uint8_t> buffer_;
    int descriptors_[2] = {-1, -1};
    int flags_ = 0; // of the second descriptor
    std::uint8_t *mapping_ = nullptr;
};

class Helper {
  public:
    Helper(const std::string &path, std::uint64_t size_max, std::span<std::uint8_t> buffer);
    ~Helper();
    Helper(const Helper &) = delete;
    Helper &operator=(const Helper &) = delete;

    // ERRORS: std::runtime_error if the helper is gone.
    Answer execute(const Order &order);

  private:
    int socket_ = -1;
    pid_t pid_ = -1;
};

} // namespace stress
