// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin status, extents, info, hint: what there is to see.
#include "base/size_text.h"
#include "base/uuid.h"
#include "tools/daxpin/bad_blocks.h"
#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/print.h"

#include <cstdio>
#include <fmt/format.h>
#include <linux/fs.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace daxpin::tool {

namespace {

using nlohmann::json;

void print(const json &value) {
    print_json(value.dump(2, ' ', false, json::error_handler_t::replace));
}

const char *pinned_text(unsigned flags) {
    return (flags & DAXPIN_STATUS_WHOLE) != 0    ? "whole"
           : (flags & DAXPIN_STATUS_PINNED) != 0 ? "partial"
                                                 : "no";
}

json to_json(const std::string &path, const daxpin_file_status &status) {
    return {{"path", path},
            {"pinned", pinned_text(status.flags)},
            {"pinned_bytes", status.pinned_bytes},
            {"leases", status.lease_count},
            {"asked_back", (status.flags & DAXPIN_STATUS_ASKED_BACK) != 0},
            {"generation", {status.generation.mount_id, status.generation.counter}},
            {"direct", (status.flags & DAXPIN_STATUS_DIRECT) != 0},
            {"read_only", (status.flags & DAXPIN_STATUS_READ_ONLY) != 0},
            {"damaged", (status.flags & DAXPIN_STATUS_DAMAGED) != 0},
            {"prepare", {{"done", status.prepare_done}, {"total", status.prepare_total}}}};
}

std::string uuid_of(const __u8 (&bytes)[16]) {
    return uuid_text(std::as_bytes(std::span<const __u8, 16>(bytes)));
}

const char *role_text(unsigned flags) {
    const bool metadata = (flags & DAXPIN_DEVICE_METADATA) != 0;
    const bool data = (flags & DAXPIN_DEVICE_DATA) != 0;
    return metadata && data ? "metadata and data" : metadata ? "metadata" : "data";
}

json to_json(const daxpin_device &device) {
    return {{"index", device.index},
            {"path", device.path},
            {"uuid", uuid_of(device.uuid)},
            {"role", role_text(device.flags)},
            {"size", device.size},
            {"mapping_unit", device.mapping_unit},
            {"domain", granularity_text(device.granularity)},
            {"domain_assumed", (device.flags & DAXPIN_DEVICE_ASSUMED) != 0},
            {"numa_node", device.numa_node}};
}

void print_device(const daxpin_device &device) {
    fmt::print("device {}: {}\n  {}, {}, units of {}, domain {}{}\n  UUID {}\n", device.index,
               device.path, role_text(device.flags), size_text(device.size),
               size_text(device.mapping_unit), granularity_text(device.granularity),
               (device.flags & DAXPIN_DEVICE_ASSUMED) != 0
                   ? " (assumed: set by an option, not told by the platform)"
                   : "",
               uuid_of(device.uuid));
    if (device.numa_node >= 0)
        fmt::print("  NUMA node {}\n", device.numa_node);
}

json to_json(const daxpin_damage &damage) {
    return {{"count", damage.count},
            {"first", damage.text},
            {"read_only", (damage.flags & DAXPIN_DAMAGE_READ_ONLY) != 0}};
}

json to_json(const daxpin_volume &volume) {
    return {{"on", (volume.flags & DAXPIN_VOLUME_PREZERO) != 0}, {"bytes", volume.prezeroed_bytes}};
}

void print_damage(const daxpin_damage &damage, const char *device) {
    fmt::print("METADATA IS DAMAGED, met {} time{} since the mount; first: {}\n"
               "  {}; unmount and run fsck.daxpinfs -y {}\n",
               damage.count, damage.count == 1 ? "" : "s", damage.text,
               (damage.flags & DAXPIN_DAMAGE_READ_ONLY) != 0 ? "the volume is read-only"
                                                             : "the volume is still writable",
               device);
}

bool is_directory(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

} // namespace

Result<void> status(const std::string &path, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    DAXPIN_TRY_ASSIGN(const auto found, status_of(path, fd.get()));
    if (as_json) {
        print(to_json(path, found));
        return {};
    }
    fmt::print("{}: pinned {}", path, pinned_text(found.flags));
    if (found.pinned_bytes > 0)
        fmt::print(" ({})", size_text(found.pinned_bytes));
    fmt::print(", {} lease{}{}, opens {}{}{}\n", found.lease_count,
               found.lease_count == 1 ? "" : "s",
               (found.flags & DAXPIN_STATUS_ASKED_BACK) != 0 ? " (asked back)" : "",
               (found.flags & DAXPIN_STATUS_DIRECT) != 0 ? "direct" : "cached",
               (found.flags & DAXPIN_STATUS_READ_ONLY) != 0 ? ", read-only mount" : "",
               (found.flags & DAXPIN_STATUS_DAMAGED) != 0 ? ", damaged volume" : "");
    if (found.prepare_total > 0)
        fmt::print("  preparing: {} of {}\n", size_text(found.prepare_done),
                   size_text(found.prepare_total));
    return {};
}

Result<void> extents(const std::string &path, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto text, attribute(path, "user.daxpin.extents"));
    if (!text)
        return Error{Errc::not_a_tty, path + ": no regular file on a daxpin filesystem, or one "
                                             "that is mounted with dax=off"};
    json list = json::array();
    std::istringstream lines(*text);
    if (!as_json)
        fmt::print("{:>16} {:>16} {:>6} {:>16}\n", "file offset", "length", "device",
                   "device offset");
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::uint64_t offset = 0, length = 0, device = 0, device_offset = 0;
        std::string flag;
        fields >> offset >> length >> device >> device_offset >> flag;
        if (as_json)
            list.push_back({{"offset", offset},
                            {"length", length},
                            {"device", device},
                            {"device_offset", device_offset},
                            {"unwritten", flag == "unwritten"}});
        else
            fmt::print("{:>16} {:>16} {:>6} {:>16}{}{}\n", offset, length, device, device_offset,
                       flag.empty() ? "" : " ", flag);
    }
    if (as_json)
        print({{"path", path}, {"extents", list}});
    return {};
}

Result<void> info(const std::string &path, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto devices, devices_of(path));
    DAXPIN_TRY_ASSIGN(const auto damage, damage_of(path));
    struct statvfs space {};
    if (statvfs(path.c_str(), &space) != 0)
        return Error{Errc::io, path + ": cannot ask for its space"};
    DAXPIN_TRY_ASSIGN(const auto bad, count_bad_blocks(path));
    DAXPIN_TRY_ASSIGN(const auto volume, volume_of(path));
    const auto total = std::uint64_t{space.f_blocks} * space.f_frsize;
    const auto free = std::uint64_t{space.f_bfree} * space.f_frsize;
    const auto available = std::uint64_t{space.f_bavail} * space.f_frsize;
    if (as_json) {
        json list = json::array();
        for (const auto &device : devices)
            list.push_back(to_json(device));
        print({{"path", path},
               {"volume_uuid", uuid_of(devices[0].volume_uuid)},
               {"total", total},
               {"free", free},
               {"available", available},
               {"prezero", volume ? to_json(*volume) : json()},
               {"damage", damage ? to_json(*damage) : json()},
               {"bad_blocks", bad},
               {"devices", list}});
        return {};
    }
    fmt::print("volume {}\n{} in all, {} free, {} available\n", uuid_of(devices[0].volume_uuid),
               size_text(total), size_text(free), size_text(available));
    if (volume && (volume->flags & DAXPIN_VOLUME_PREZERO) != 0)
        fmt::print("{} of what is free known to be zero\n", size_text(volume->prezeroed_bytes));
    if (damage && damage->count != 0)
        print_damage(*damage, devices[0].path);
    for (const auto &device : devices)
        print_device(device);
    if (bad > 0)
        fmt::print("{} bad block{}: daxpin info --bad {}\n", bad, bad == 1 ? "" : "s", path);
    if (devices.size() == 1)
        fmt::print("metadata and data share one device: whoever may open it for mapping can also "
                   "damage metadata\n");
    return {};
}

Result<void> hint(const std::string &path, const HintOptions &options, bool as_json) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    fsxattr attributes{};
    DAXPIN_TRY(request(path, fd.get(), FS_IOC_FSGETXATTR, &attributes));
    if (options.dax)
        attributes.fsx_xflags = *options.dax ? attributes.fsx_xflags | FS_XFLAG_DAX
                                             : attributes.fsx_xflags & ~unsigned{FS_XFLAG_DAX};
    if (options.align) {
        // A directory's is for what will be made in it, which is another flag.
        const unsigned flag = is_directory(fd.get()) ? FS_XFLAG_EXTSZINHERIT : FS_XFLAG_EXTSIZE;
        attributes.fsx_extsize = static_cast<__u32>(*options.align);
        attributes.fsx_xflags =
            *options.align != 0 ? attributes.fsx_xflags | flag : attributes.fsx_xflags & ~flag;
    }
    if (options.dax || options.align)
        DAXPIN_TRY(request(path, fd.get(), FS_IOC_FSSETXATTR, &attributes));
    const bool dax = (attributes.fsx_xflags & FS_XFLAG_DAX) != 0;
    if (as_json)
        print({{"path", path}, {"dax", dax}, {"align", attributes.fsx_extsize}});
    else
        fmt::print("{}: DAX hint {}, alignment {}\n", path, dax ? "on" : "off",
                   attributes.fsx_extsize == 0 ? "by the device"
                                               : size_text(attributes.fsx_extsize));
    return {};
}

} // namespace daxpin::tool
