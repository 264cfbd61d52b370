// SPDX-License-Identifier: BSD-3-Clause
#include "scale_stage.h"

#include "device/open.h"
#include "volume/format.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace daxpin::scale {

namespace {

constexpr InodeNumber root{format::root_inode};
constexpr std::size_t entries_in_reply = 128; // about what the kernel asks for at a time

device::OpenOptions open_options() {
    device::OpenOptions options;
    options.domain = device::Domain::cache_line;
    return options;
}

UniqueFd make_sparse(const std::string &folder, const std::string &kept_at, std::uint64_t bytes) {
    const bool kept = !kept_at.empty();
    UniqueFd fd(kept ? ::open(kept_at.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                     : ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
    if (!fd || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
        fail((kept ? kept_at : folder) + ": " + std::strerror(errno));
    return fd;
}

} // namespace

Files::Files(std::uint32_t count, bool many)
    : first_(count), next_(count),
      directories_(many ? std::max<std::size_t>(count / files_per_directory, 1) : 1) {
    alive_.reserve(count + count / 4);
    for (std::uint32_t number = 0; number < count; ++number)
        alive_.push_back(number);
}

std::size_t Files::directory_of(std::uint32_t number) const {
    if (number < first_)
        return std::min(number / files_per_directory, static_cast<std::uint32_t>(directories_ - 1));
    return number * 2654435761U % directories_; // anywhere
}

std::size_t Files::at_random() {
    return random_() % alive_.size();
}

std::uint32_t Files::pick() {
    return alive_[at_random()];
}

std::uint32_t Files::add() {
    alive_.push_back(next_);
    return next_++;
}

std::uint32_t Files::take() {
    std::swap(alive_[at_random()], alive_.back());
    const auto number = alive_.back();
    alive_.pop_back();
    return number;
}

Stage::Stage(const std::string &folder, const std::string &kept_at, std::uint64_t bytes,
             std::uint64_t journal_bytes, std::uint32_t count, bool many)
    : fd_(make_sparse(folder, kept_at, bytes)),
      path_(kept_at.empty() ? fmt::format("/proc/self/fd/{}", fd_.get()) : kept_at), bytes_(bytes),
      files_(count, many), many_(many), directories_{root} {
    std::vector<std::unique_ptr<device::Device>> devices;
    devices.push_back(must(device::open_device(path_, open_options())));
    device::DeviceTable table(std::move(devices));
    volume::FormatOptions options;
    options.journal_bytes = journal_bytes;
    must(volume::format_volume(table, options, system_env()));
}

double Stage::open() {
    const auto start = std::chrono::steady_clock::now();
    auto devices = must(device::open_volume_devices(path_, open_options()));
    volume_ = must(volume::Volume::open(std::move(devices), system_env(), {}));
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

void Stage::close() {
    volume_.reset();
}

void Stage::look_up_directories() {
    must(volume_->lookup(root, "."));
    for (std::size_t i = 0; many_ && i < directories_.size(); ++i)
        must(volume_->lookup(root, fmt::format("{:05}", i)));
}

void Stage::make_directories() {
    must(volume_->lookup(root, "."));
    if (many_)
        directories_.clear();
    for (std::size_t i = 0; many_ && i < files_.directories(); ++i)
        directories_.push_back(
            must(volume_->make_node({}, root, fmt::format("{:05}", i), {.mode = 0040755})).number);
}

void Stage::make_files() {
    make_directories();
    for (std::uint32_t number = 0; number < files_.count(); ++number) {
        create(place(number));
        if (number % 1024 == 0)
            housekeep();
        if (number % 1'000'000 == 999'999)
            fmt::print(stderr, "scale-bench: {} files of {}\n", number + 1, files_.count());
    }
}

std::uint64_t Stage::fill(std::size_t file_bytes) {
    make_directories();
    const std::vector<std::byte> content(file_bytes, std::byte{0x5a});
    for (std::uint32_t number = 0; number < files_.count(); ++number) {
        const auto [directory, name] = place(number);
        const auto made = volume_->create({}, directory, name, {.mode = 0100644}, {.write = true});
        if (!made && made.code() == Errc::no_space)
            return number;
        const auto [attributes, open] = must(made);
        const auto wrote = volume_->write(attributes.number, open.handle, 0, content);
        volume_->release(attributes.number, open.handle);
        volume_->forget(attributes.number, 1);
        if (!wrote && wrote.code() == Errc::no_space) {
            must(volume_->unlink({}, directory, name));
            return number;
        }
        must(wrote);
        if (number % 1024 == 0)
            housekeep();
    }
    fail("the volume does not fill");
}

std::uint64_t Stage::used_blocks() {
    return bytes_ / block_size - must(volume_->statistics()).free_blocks;
}

Stage::Place Stage::place(std::uint32_t number) const {
    return {directories_[files_.directory_of(number)], fmt::format("file-{:08}", number)};
}

std::vector<Stage::Place> Stage::places(std::size_t count, std::uint32_t (Files::*choose)()) {
    std::vector<Place> chosen;
    chosen.reserve(count);
    while (chosen.size() < count)
        chosen.push_back(place((files_.*choose)()));
    return chosen;
}

InodeNumber Stage::create(const Place &place) {
    const auto made =
        must(volume_->create({}, place.directory, place.name, {.mode = 0100644}, {.write = true}));
    volume_->release(made.attributes.number, made.open.handle);
    volume_->forget(made.attributes.number, 1);
    return made.attributes.number;
}

void Stage::look_up(const Place &place) {
    volume_->forget(must(volume_->lookup(place.directory, place.name)).number, 1);
}

void Stage::remove(const Place &place) {
    const auto number = must(volume_->lookup(place.directory, place.name)).number;
    must(volume_->unlink({}, place.directory, place.name));
    volume_->forget(number, 1);
}

std::size_t Stage::list() {
    std::size_t listed = 0;
    for (const auto directory : directories_) {
        std::size_t in_reply = entries_in_reply;
        for (std::uint64_t after = 0; in_reply == entries_in_reply;) {
            in_reply = 0;
            must(volume_->list(directory, after, false,
                               [&](const volume::ListedEntry &entry, const volume::Attributes *) {
                                   after = entry.cookie;
                                   return ++in_reply < entries_in_reply;
                               }));
            listed += in_reply;
        }
    }
    return listed;
}

void Stage::housekeep() {
    must(volume_->background_step());
}

} // namespace daxpin::scale
