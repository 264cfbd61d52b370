// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mkfs/content.h"

#include "base/unique_fd.h"
#include "base/uuid.h"
#include "device/label.h"

#include <algorithm>
#include <blkid/blkid.h>
#include <memory>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace daxpin::mkfs {

namespace {

// Signatures stand near the start or the end; blkid never looks further in.
constexpr std::uint64_t probed_bytes = std::uint64_t{4} << 20;

struct FreeProbe {
    void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<blkid_struct_probe, FreeProbe>;

Error cannot_read(const device::Device &device) {
    if (is_sparse(device.info().path))
        return {Errc::no_space, device.info().path +
                                    ": is sparse, and its holes cannot be filled (is the "
                                    "filesystem full?); make the file with --size"};
    return {Errc::io,
            device.info().path +
                ": cannot be read to see what it holds (bad blocks?); --force overwrites"};
}

Result<void> copy_range(const device::Device &device, int fd, std::uint64_t from,
                        std::uint64_t length) {
    std::vector<std::byte> bytes(length);
    if (!device.read(from, bytes))
        return cannot_read(device);
    if (pwrite(fd, bytes.data(), length, static_cast<off_t>(from)) != static_cast<ssize_t>(length))
        return Errc::out_of_memory;
    return {};
}

// blkid reads with read(2), which device DAX does not have: it gets a sparse file in memory with
// the same start and end.
Result<UniqueFd> probed_part(const device::Device &device) {
    UniqueFd fd(memfd_create("mkfs-probe", MFD_CLOEXEC));
    const std::uint64_t size = device.info().size;
    if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
        return Errc::out_of_memory;
    const std::uint64_t length = std::min(probed_bytes, size);
    DAXPIN_TRY(copy_range(device, fd.get(), 0, length));
    DAXPIN_TRY(copy_range(device, fd.get(), size - length, length));
    return fd;
}

std::string value_of(blkid_probe probe, const char *name) {
    const char *data = nullptr;
    std::size_t length = 0;
    if (blkid_probe_lookup_value(probe, name, &data, &length) != 0 || data == nullptr)
        return {};
    return std::string(data);
}

std::string found_by(blkid_probe probe) {
    const std::string type = value_of(probe, "TYPE");
    const std::string label = value_of(probe, "LABEL");
    if (type.empty())
        return "a partition table (" + value_of(probe, "PTTYPE") + ")";
    return "a filesystem or similar (" + type + (label.empty() ? "" : ", '" + label + "'") + ")";
}

Result<std::optional<std::string>> foreign_content(const device::Device &device) {
    DAXPIN_TRY_ASSIGN(const UniqueFd fd, probed_part(device));
    const Probe probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0)
        return Errc::out_of_memory;
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe.get(), 1);
    switch (blkid_do_safeprobe(probe.get())) {
    case 0:
        return std::optional(found_by(probe.get()));
    case 1:
        return std::optional<std::string>{};
    case -2:
        return std::optional<std::string>("signatures of more than one filesystem");
    default:
        return cannot_read(device);
    }
}

// Even a damaged label is somebody's volume.
bool has_label_magic(const device::Device &device) {
    for (const std::uint64_t offset : {std::uint64_t{0}, device.info().size - block_size}) {
        le64 magic;
        const auto bytes = std::as_writable_bytes(std::span(&magic, 1));
        if (device.read(offset, bytes) && magic == format::label_magic)
            return true;
    }
    return false;
}

std::string volume_content(const device::Device &device) {
    const auto label = device::read_label(device);
    if (!label)
        return "a damaged daxpin volume";
    const char *end = std::find(label->text, label->text + sizeof label->text, '\0');
    std::string text = "a daxpin volume (";
    if (end != label->text)
        text += "'" + std::string(label->text, end) + "', ";
    text += uuid_text(label->volume_uuid);
    if (label->device_count > 1)
        text += ", device " + std::to_string(label->index + 1) + " of " +
                std::to_string(label->device_count);
    return text + ")";
}

} // namespace

bool is_sparse(const std::string &path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_blocks * 512 < status.st_size;
}

Result<std::optional<std::string>> content_of(const device::Device &device) {
    if (has_label_magic(device))
        return std::optional(volume_content(device));
    return foreign_content(device);
}

} // namespace daxpin::mkfs
