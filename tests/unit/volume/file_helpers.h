// SPDX-License-Identifier: BSD-3-Clause
//
// Short forms for tests of file data, pins and leases.
#pragma once

#include "helpers.h"
#include "tools/fsck/check.h"

#include <algorithm>
#include <cstring>

namespace daxpin::test {

using Data = std::vector<std::byte>;

inline volume::OpenRequest for_writing(bool direct = false) {
    volume::OpenRequest request;
    request.write = true;
    request.direct = direct;
    return request;
}
inline volume::OpenRequest for_reading(bool direct = false) {
    volume::OpenRequest request;
    request.direct = direct;
    return request;
}

inline volume::Handle open_handle(volume::Volume &volume, InodeNumber file,
                                  const volume::OpenRequest &request) {
    return must(volume.open_file(root_caller(), file, request)).handle;
}

inline Data filled(std::size_t length, unsigned value) {
    return Data(length, static_cast<std::byte>(value));
}

inline void write_at(volume::Volume &volume, InodeNumber file, std::uint64_t offset,
                     std::span<const std::byte> data) {
    REQUIRE(must(volume.write(file, 0, offset, data)) == data.size());
}

// What read() shows of [offset, offset + length).
inline Data read_at(volume::Volume &volume, InodeNumber file, std::uint64_t offset,
                    std::uint64_t length) {
    const auto reply = must(volume.read(file, 0, offset, length));
    Data data;
    for (const auto segment : reply.segments)
        data.insert(data.end(), segment.begin(), segment.end());
    REQUIRE(data.size() == reply.bytes);
    return data;
}

inline Data read_all(volume::Volume &volume, InodeNumber file) {
    return read_at(volume, file, 0, stat_of(volume, file).size);
}

inline Result<inode::Attributes> set_size(volume::Volume &volume, InodeNumber file,
                                          std::uint64_t size) {
    volume::AttributeChange change;
    change.size = size;
    return volume.set_attributes(root_caller(), file, change);
}

inline bool all_zero(std::span<const std::byte> data) {
    return std::ranges::all_of(data, [](std::byte byte) { return byte == std::byte{0}; });
}

// Unmounts, checks the media with the independent checker, mounts again.
inline void check_and_remount(VolumeFixture &fixture) {
    fixture.unmount();
    const auto devices = open_table(fixture.all_media());
    const auto report = fsck::check(devices);
    for (const auto &finding : report.findings)
        UNSCOPED_INFO(finding.text);
    REQUIRE(report.errors == 0);
    must(fixture.mount());
}

} // namespace daxpin::test
