// SPDX-License-Identifier: BSD-3-Clause
//
// open_volume_devices(): a volume by its name, and its members, found by what their labels say.
#include "base/uuid.h"
#include "device/label.h"
#include "device/open.h"
#include "device/sysfs.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sys/stat.h>
#include <utility>

namespace daxpin::device {
namespace {

namespace fs = std::filesystem;
using format::DeviceLabel;

// A file or device apart from its names.
struct Identity {
    dev_t device;
    ino_t inode;
    bool operator==(const Identity &) const = default;
};

std::optional<Identity> identity(const std::string &path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
        return std::nullopt;
    if (S_ISCHR(status.st_mode))
        return Identity{status.st_rdev, 0};
    return Identity{status.st_dev, status.st_ino};
}

bool begins_label(std::ifstream &file, std::streamoff offset) {
    le64 magic;
    file.clear();
    file.seekg(offset);
    file.read(reinterpret_cast<char *>(&magic), sizeof(magic));
    return file && magic == format::label_magic;
}

// Cheap test before a file is mapped: a searched directory may hold thousands of others.
bool may_be_member(const std::string &path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
        return false;
    if (S_ISCHR(status.st_mode))
        return is_device_dax(status.st_rdev);
    if (!S_ISREG(status.st_mode) || status.st_size < 2 * std::int64_t{block_size})
        return false;
    std::ifstream file(path, std::ios::binary);
    const std::streamoff last = (status.st_size / block_size - 1) * block_size;
    return begins_label(file, 0) || begins_label(file, last);
}

std::optional<DeviceLabel> peek_label(const std::string &path) {
    if (!may_be_member(path))
        return std::nullopt;
    OpenOptions look;
    look.read_only = true;
    look.exclusive = false;
    const auto device = open_device(path, look);
    if (!device)
        return std::nullopt;
    const auto label = read_label(**device);
    return label ? std::optional(*label) : std::nullopt;
}

Error two_alike(const std::string &one, const std::string &other, const DeviceLabel &label) {
    return {Errc::invalid,
            fmt::format("{} and {} both say they are device {} of volume {}: one is a copy; name "
                        "the right one, or move the other away",
                        one, other, label.index.get(), uuid_text(label.volume_uuid))};
}

class MemberSearch {
  public:
    MemberSearch(const std::string &path, const DeviceLabel &label)
        : label_(label), paths_(label.device_count) {
        paths_[label.index] = path;
    }

    bool complete() const {
        for (const std::string &path : paths_)
            if (path.empty())
                return false;
        return true;
    }

    // Devices the user named. ERRORS: as consider().
    Result<void> look_at(const std::vector<std::string> &paths) {
        for (const std::string &path : paths)
            DAXPIN_TRY(consider(path));
        return {};
    }

    // A place to search. What was found elsewhere before counts more; two candidates for one
    // seat within one place are for a person to tell apart.
    Result<void> search(const std::vector<std::string> &paths) {
        if (complete())
            return {};
        const std::vector<std::string> found_before = paths_;
        for (const std::string &path : paths) {
            const auto label = peek_label(path);
            if (label && is_member(*label) && found_before[label->index].empty())
                DAXPIN_TRY(seat(path, label->index));
        }
        return {};
    }

    const std::vector<std::string> &paths() const { return paths_; }

  private:
    bool is_member(const DeviceLabel &other) const {
        return to_uuid(other.volume_uuid) == to_uuid(label_.volume_uuid) &&
               other.device_count == label_.device_count;
    }

    Result<void> consider(const std::string &path) {
        const auto label = peek_label(path);
        if (label && is_member(*label))
            return seat(path, label->index);
        return {};
    }

    Result<void> seat(const std::string &path, unsigned index) {
        std::string &taken = paths_[index];
        if (taken.empty())
            taken = path;
        else if (identity(taken) != identity(path))
            return two_alike(taken, path, label_);
        return {};
    }

    DeviceLabel label_;
    std::vector<std::string> paths_; // by index; empty: not found yet
};

std::vector<std::string> files_of(const fs::path &directory) {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory, error))
        files.push_back(entry.path().string());
    return files;
}

Result<void> search_everywhere(MemberSearch &members, const std::string &path,
                               const OpenOptions &options) {
    DAXPIN_TRY(members.look_at(options.more_paths));
    for (const std::string &directory : options.search_directories)
        DAXPIN_TRY(members.search(files_of(directory)));
    const fs::path own_directory = fs::path(path).parent_path();
    DAXPIN_TRY(members.search(files_of(own_directory.empty() ? "." : own_directory)));
    return members.search(dax_devices());
}

constexpr std::string_view volume_prefix = "volume:";

bool is_named(const DeviceLabel &label, const std::string &name) {
    const auto uuid = parse_uuid(name);
    const std::string_view text(label.text, ::strnlen(label.text, format::label_text_max));
    return uuid == to_uuid(label.volume_uuid) || text == name;
}

// One of `paths` that is a member of the volume of that name, if any is.
Result<std::optional<std::string>> member_among(const std::vector<std::string> &paths,
                                                const std::string &name) {
    std::vector<std::pair<std::string, DeviceLabel>> members;
    for (const std::string &path : paths) {
        const auto label = peek_label(path);
        if (!label || !is_named(*label, name))
            continue;
        for (const auto &[other_path, other] : members) {
            if (to_uuid(other.volume_uuid) != to_uuid(label->volume_uuid))
                return Error{Errc::invalid,
                             fmt::format("{} of volume {} and {} of volume {} are both called "
                                         "'{}': name the volume by its UUID",
                                         other_path, uuid_text(other.volume_uuid), path,
                                         uuid_text(label->volume_uuid), name)};
            if (other.index == label->index && identity(other_path) != identity(path))
                return two_alike(other_path, path, other);
        }
        members.emplace_back(path, *label);
    }
    return members.empty() ? std::nullopt : std::optional(members.front().first);
}

// The path that open_volume_devices() begins with. What the user named counts more.
Result<std::string> first_path(const std::string &device, const OpenOptions &options) {
    if (!names_volume(device))
        return device;
    const std::string name = device.substr(volume_prefix.size());
    if (name.empty())
        return Error{Errc::invalid, device + ": add the volume's UUID or label"};
    std::vector<std::vector<std::string>> places{options.more_paths};
    std::ranges::transform(options.search_directories, std::back_inserter(places), files_of);
    places.push_back(dax_devices());
    for (const auto &paths : places) {
        DAXPIN_TRY_ASSIGN(const auto found, member_among(paths, name));
        if (found)
            return *found;
    }
    return Error{
        Errc::missing,
        fmt::format("{}: no device DAX that can be read is a member ({} looked at); a volume "
                    "in a file is named by its path",
                    device, places.back().size())};
}

using Devices = std::vector<std::unique_ptr<Device>>;

// Names the members whose path is empty; their UUIDs stand in the superblock of device 0.
Error missing_error(const MemberSearch &members, const Devices &opened, const DeviceLabel &label,
                    const OpenOptions &options) {
    std::optional<format::Superblock> superblock;
    if (opened[0])
        if (const auto read = read_superblock(*opened[0]); read)
            superblock = *read;
    std::string names;
    for (unsigned index = 0; index < members.paths().size(); ++index) {
        if (!members.paths()[index].empty())
            continue;
        names += fmt::format("{}device {}", names.empty() ? "" : ", ", index);
        if (superblock)
            names += fmt::format(" (UUID {})", uuid_text(superblock->devices[index].device_uuid));
    }
    return {Errc::missing,
            fmt::format("volume {} lacks {} of its {} devices{}{}", uuid_text(label.volume_uuid),
                        names, label.device_count.get(),
                        options.remedies.missing_member.empty() ? "" : ": ",
                        options.remedies.missing_member)};
}

// A member must be the very device that mkfs put at its index, and as long as it was.
Result<void> check_members(const Devices &devices) {
    DAXPIN_TRY_ASSIGN(const format::Superblock superblock, read_superblock(*devices[0]));
    for (unsigned index = 0; index < devices.size(); ++index) {
        DAXPIN_TRY_ASSIGN(const DeviceLabel label, read_label(*devices[index]));
        const format::DeviceEntry &entry = superblock.devices[index];
        if (label.index != index || to_uuid(label.device_uuid) != to_uuid(entry.device_uuid) ||
            label.block_count != entry.block_count)
            return Error{Errc::invalid,
                         fmt::format("{}: its label does not match what the superblock on {} says "
                                     "of device {} (UUID {}): name the right device",
                                     devices[index]->info().path, devices[0]->info().path, index,
                                     uuid_text(entry.device_uuid))};
    }
    return {};
}

} // namespace

bool names_volume(std::string_view device) {
    return device.starts_with(volume_prefix);
}

Result<DeviceTable> open_volume_devices(const std::string &device, const OpenOptions &options) {
    DAXPIN_TRY_ASSIGN(const std::string path, first_path(device, options));
    DAXPIN_TRY_ASSIGN(std::unique_ptr<Device> first, open_device(path, options));
    DAXPIN_TRY_ASSIGN(const DeviceLabel label, read_label(*first));
    Devices devices(label.device_count);
    devices[label.index] = std::move(first);
    if (label.device_count == 1)
        return DeviceTable(std::move(devices));

    MemberSearch members(path, label);
    DAXPIN_TRY(search_everywhere(members, path, options));
    for (unsigned index = 0; index < devices.size(); ++index)
        if (!devices[index] && !members.paths()[index].empty()) {
            DAXPIN_TRY_ASSIGN(devices[index], open_device(members.paths()[index], options));
        }
    if (!members.complete())
        return missing_error(members, devices, label, options);
    DAXPIN_TRY(check_members(devices));
    return DeviceTable(std::move(devices));
}

} // namespace daxpin::device
