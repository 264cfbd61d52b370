// SPDX-License-Identifier: BSD-3-Clause
//
// VolumeFixture: a freshly formatted volume on simulated media, open.
//
// One device by default; with data_devices > 0 device 0 holds only metadata. Any failure to
// format or open ends the program: it is a broken test, not a result.
#pragma once

#include "support/sim_device.h"
#include "support/test_env.h"
#include "volume/format.h"
#include "volume/volume.h"

#include <memory>
#include <vector>

namespace daxpin::test {

struct VolumeShape {
    std::uint64_t device_bytes = std::uint64_t{4} << 20; // of device 0
    std::uint64_t journal_bytes = format::ring_bytes_min;
    // The ring wraps after this many bytes of records; 0 = starts at its first seat.
    std::uint64_t bytes_before_wrap = 0;
    unsigned data_devices = 0;
    std::uint64_t data_bytes = std::uint64_t{4} << 20; // of each data device
    device::Domain domain = device::Domain::cache_line;
    std::uint64_t mapping_unit = block_size;
    std::uint64_t seed = 1;
};

// Makes the media of a volume and formats them.
std::vector<std::shared_ptr<SimMedia>> make_media(const VolumeShape &shape, Env &env);

// Gives the free blocks of media that are not mounted what those of an aged volume have: bytes that
// nobody may ever see.
void fill_free_blocks(const std::vector<std::shared_ptr<SimMedia>> &media);

class VolumeFixture {
  public:
    explicit VolumeFixture(const VolumeShape &shape = {}, const volume::Options &options = {});

    volume::Volume &volume() { return *volume_; }
    volume::Volume *operator->() { return volume_.get(); }
    TestEnv &env() { return env_; }
    SimMedia &media(unsigned device = 0) { return *media_[device]; }
    const std::vector<std::shared_ptr<SimMedia>> &all_media() const { return media_; }

    // Closes the volume: everything is checkpointed.
    void unmount() { volume_.reset(); }
    // Opens what is on the media. REQUIRES: unmounted.
    Result<void> mount();
    void remount();
    // Drops every DRAM state without the writes of an orderly unmount, as SIGKILL does (what was
    // stored stays), and opens again. Another boot id is another boot.
    Result<void> kill_and_mount();

  private:
    TestEnv env_;
    volume::Options options_;
    std::vector<std::shared_ptr<SimMedia>> media_;
    std::unique_ptr<volume::Volume> volume_;
};

} // namespace daxpin::test
