// SPDX-License-Identifier: BSD-3-Clause
//
// mkfs.daxpinfs: makes a volume. Man page: mkfs.daxpinfs(8).
//
// Everything that can refuse is asked before the first byte is written.
#include "base/env.h"
#include "base/size_text.h"
#include "base/standard_files.h"
#include "device/open.h"
#include "tools/mkfs/content.h"
#include "tools/mkfs/image_file.h"
#include "tools/mkfs/options.h"
#include "tools/mkfs/progress.h"
#include "tools/mkfs/report.h"
#include "volume/format.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace daxpin::mkfs {

namespace {

using Devices = std::vector<std::unique_ptr<device::Device>>;

// A file made in vain would be removed again, but it may take minutes to make.
Result<void> check_size(const Options &options) {
    if (options.size && *options.size < volume::device_bytes_min())
        return Error{Errc::invalid, "--size: " + size_text(*options.size) +
                                        " is too small for a volume; it needs at least " +
                                        size_text(volume::device_bytes_min())};
    return {};
}

// Every path is there, and none names the device of another.
Result<void> check_paths(const std::vector<std::string> &paths) {
    std::vector<struct stat> seen;
    for (const std::string &path : paths) {
        struct stat status {};
        if (stat(path.c_str(), &status) != 0)
            return Error{from_errno(errno), path + ": " + std::strerror(errno) +
                                                "; --size makes a new file as DEVICE"};
        for (const struct stat &other : seen) {
            const bool same_file = other.st_dev == status.st_dev && other.st_ino == status.st_ino;
            const bool same_device = S_ISCHR(status.st_mode) && other.st_rdev == status.st_rdev &&
                                     S_ISCHR(other.st_mode);
            if (same_file || same_device)
                return Error{Errc::invalid, path + ": is named twice"};
        }
        seen.push_back(status);
    }
    return {};
}

Result<Devices> open_devices(const Options &options, const std::vector<std::string> &paths) {
    device::OpenOptions how;
    how.domain = options.domain;
    Devices devices;
    for (const std::string &path : paths) {
        DAXPIN_TRY_ASSIGN(auto device, device::open_device(path, how));
        devices.push_back(std::move(device));
    }
    return devices;
}

Result<void> check_content(const Devices &devices) {
    for (const auto &device : devices) {
        DAXPIN_TRY_ASSIGN(const auto content, content_of(*device));
        if (content)
            return Error{Errc::exists,
                         device->info().path + ": holds " + *content + "; --force overwrites it"};
    }
    return {};
}

volume::FormatOptions format_options(const Options &options, Progress &progress) {
    volume::FormatOptions format;
    format.label = options.label;
    format.uuid = options.uuid;
    format.journal_bytes = options.journal_bytes;
    format.uid = geteuid();
    format.gid = getegid();
    format.progress = [&progress](double done) { progress.show("formatting", done); };
    return format;
}

void print_report(const Options &options, const format::Superblock &superblock,
                  const device::DeviceTable &devices) {
    if (options.json)
        std::fputs(json_report(superblock, devices).c_str(), stdout);
    else if (!options.quiet)
        std::fputs((text_report(superblock, devices) + notes(devices)).c_str(), stdout);
}

Result<void> make_volume(const Options &options) {
    Progress progress(!options.quiet);
    std::vector<std::string> paths{options.device};
    paths.insert(paths.end(), options.data_devices.begin(), options.data_devices.end());

    DAXPIN_TRY(check_size(options));
    ImageFile image;
    if (options.size) {
        DAXPIN_TRY(check_paths(options.data_devices));
        DAXPIN_TRY_ASSIGN(image, ImageFile::create(options.device, *options.size, [&](double done) {
                              progress.show("allocating", done);
                          }));
    }
    DAXPIN_TRY(check_paths(paths));
    DAXPIN_TRY_ASSIGN(auto opened, open_devices(options, paths));
    if (!options.force)
        DAXPIN_TRY(check_content(opened));
    device::DeviceTable devices(std::move(opened));
    DAXPIN_TRY_ASSIGN(
        const auto superblock,
        volume::format_volume(devices, format_options(options, progress), system_env()));
    image.keep();
    progress.clear();
    print_report(options, superblock, devices);
    return {};
}

int run(int argc, char **argv) {
    auto parsed = parse_options(argc, argv);
    Result<void> done;
    if (!parsed) {
        done = parsed.error();
    } else if (const auto *answer = std::get_if<Answer>(&*parsed)) {
        std::fputs(answer->text.c_str(), stdout);
    } else {
        done = make_volume(std::get<Options>(*parsed));
    }
    if (!done)
        std::fprintf(stderr, "mkfs.daxpinfs: %s\n", describe(done.error()).c_str());
    if (!write_standard_output()) {
        std::fprintf(stderr, "mkfs.daxpinfs: standard output cannot be written\n");
        return 1;
    }
    return done ? 0 : 1;
}

} // namespace

} // namespace daxpin::mkfs

int main(int argc, char **argv) {
    daxpin::open_standard_files();
    return daxpin::mkfs::run(argc, argv);
}
