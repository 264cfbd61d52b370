// SPDX-License-Identifier: BSD-3-Clause
#include "crash/usability.h"
#include "faults/no_space.h"

#include <algorithm>
#include <map>

namespace daxpin::faults {

using crash::Dump;
using crash::Operation;

namespace {

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;
constexpr char ballast_name[] = "ballast";

} // namespace

const char *to_string(Short what) noexcept {
    switch (what) {
    case Short::everything:
        return "";
    case Short::data:
        return " (data)";
    case Short::metadata:
        return " (metadata)";
    }
    return "";
}

test::VolumeShape shape_of(Short what) {
    test::VolumeShape shape{.device_bytes = device_bytes, .data_bytes = device_bytes};
    shape.data_devices = what == Short::everything ? 0 : 1;
    return shape;
}

Ballast::Ballast(Short what, Run run) : what_(what), run_(std::move(run)) {
    static_cast<void>(run_(crash::create(ballast_name)));
}

Operation Ballast::taking(std::uint64_t blocks) const {
    if (what_ == Short::metadata)
        return crash::set_xattr(ballast_name, "user.b" + std::to_string(taken_.size()),
                                blocks * block_size);
    return crash::fallocate(ballast_name, volume::FallocateMode::allocate_keep_size,
                            end_ * block_size, blocks * block_size);
}

bool Ballast::take(std::uint64_t blocks) {
    if (!run_(taking(blocks)))
        return false;
    taken_.push_back(blocks);
    end_ += blocks;
    return true;
}

// Large pieces first; the last ones are single blocks, which can be given back one by one.
void Ballast::fill() {
    constexpr std::uint64_t singles = 24;
    if (taken_.empty())
        for (std::uint64_t blocks = 16; blocks > 1; blocks /= 2)
            while (take(blocks))
                continue;
    if (std::ranges::count(taken_, 1U) == 0)
        for (std::uint64_t given = 0; given < singles && !taken_.empty();) {
            given += taken_.back();
            if (!give().empty())
                break;
        }
    while (take(1))
        continue;
}

std::string Ballast::give() {
    if (taken_.empty())
        return "nothing is left to give back";
    const std::uint64_t blocks = taken_.back();
    const auto outcome =
        what_ == Short::metadata
            ? run_(crash::remove_xattr(ballast_name, "user.b" + std::to_string(taken_.size() - 1)))
            : run_(crash::fallocate(ballast_name, volume::FallocateMode::punch,
                                    (end_ - blocks) * block_size, blocks * block_size));
    if (!outcome)
        return "the ballast: " + daxpin::describe(outcome.error());
    taken_.pop_back();
    end_ -= blocks;
    return {};
}

std::string release_everything(volume::Volume &volume) {
    const auto dump = crash::take_dump(volume);
    if (!dump)
        return "dump: " + daxpin::describe(dump.error());
    for (const auto &[number, file] : dump->files) {
        if (!file.attributes.is_regular() || file.pinned_bytes > 0 || file.attributes.flags != 0)
            continue;
        volume::AttributeChange change;
        change.size = file.attributes.size / 2;
        if (const auto cut = volume.set_attributes(crash::superuser(), InodeNumber{number}, change);
            !cut)
            return "halving inode " + std::to_string(number) + ": " + daxpin::describe(cut.error());
    }
    return crash::delete_everything(volume, *dump);
}

std::string compare_with_new(Short what, const crash::MediaList &media, test::TestEnv &env) {
    static std::map<Short, crash::Space> spaces;
    if (!spaces.contains(what)) {
        test::TestEnv fresh_env;
        const auto fresh =
            crash::space_after_boot(test::make_media(shape_of(what), fresh_env), fresh_env);
        if (!fresh)
            return "a new volume: " + daxpin::describe(fresh.error());
        spaces.emplace(what, *fresh);
    }
    const auto found = crash::space_after_boot(media, env);
    if (!found)
        return daxpin::describe(found.error());
    const auto &expected = spaces.at(what);
    if (found->free_blocks + found->tree_nodes == expected.free_blocks + expected.tree_nodes)
        return {};
    return crash::difference(*found, expected);
}

} // namespace daxpin::faults
