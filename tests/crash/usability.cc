// SPDX-License-Identifier: BSD-3-Clause
#include "crash/usability.h"

#include "support/scheduler.h"
#include "tools/fsck/check.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

constexpr unsigned background_steps_max = 100000;

const volume::Caller &caller() {
    return superuser();
}

// An error as text; no_space is none if the operation may need a block.
template <typename T> std::string text_of(const Result<T> &result, const std::string &what) {
    if (result)
        return {};
    return what + ": " + daxpin::describe(result.error());
}

bool is_no_space(const auto &result) {
    return !result && result.code() == Errc::no_space;
}

std::string thaw(volume::Volume &volume, const Dump &dump) {
    for (const auto &[number, file] : dump.files) {
        const InodeNumber inode{number};
        if (file.attributes.flags & (format::inode_flag_immutable | format::inode_flag_append))
            if (auto text = text_of(volume.set_flags(caller(), inode, 0, {}), "clear flags");
                !text.empty())
                return text;
        if (file.pinned_bytes > 0)
            if (auto text = text_of(volume.unpin(caller(), inode, {}, 0), "unpin"); !text.empty())
                return text;
    }
    return {};
}

// `who` tells the names of one thread from those of another.
std::string try_directory(volume::Volume &volume, InodeNumber directory, const std::string &who) {
    std::string name = "~new" + who;
    const std::string new_name = "~moved" + who;
    const auto made =
        volume.create(caller(), directory, name, {.mode = 0100600, .rdev = 0}, {.write = true});
    if (is_no_space(made))
        return {};
    if (!made)
        return text_of(made, "create after recovery");
    const InodeNumber number = made->attributes.number;
    const auto written = volume.write(number, made->open.handle, 10, content(99, 10, 5000));
    volume.release(number, made->open.handle);
    std::string text = is_no_space(written) ? "" : text_of(written, "write after recovery");
    if (text.empty()) {
        const auto moved = volume.rename(caller(), directory, name, directory, new_name,
                                         volume::RenameMode::plain);
        name = moved ? new_name : name;
        text = is_no_space(moved) ? "" : text_of(moved, "rename after recovery");
    }
    if (text.empty())
        text = text_of(volume.unlink(caller(), directory, name), "unlink after recovery");
    volume.forget(number, 1);
    return text;
}

// What lies behind the end of a file is zero when the file grows over it.
std::string try_growth(volume::Volume &volume, const DumpFile &file) {
    const InodeNumber number = file.attributes.number;
    if (!file.attributes.is_regular() || file.pinned_bytes > 0 || !file.lost.empty())
        return {};
    volume::AttributeChange change;
    change.size = file.attributes.size + 5000;
    const auto grown = volume.set_attributes(caller(), number, change);
    if (!grown)
        return is_no_space(grown) ? "" : text_of(grown, "growth after recovery");
    const auto reply = volume.read(number, 0, file.attributes.size, 5000);
    if (!reply)
        return text_of(reply, "read after growth");
    for (const auto &segment : reply->segments) {
        if (std::any_of(segment.begin(), segment.end(), [](auto b) { return b != std::byte{0}; }))
            return "bytes beyond the end of inode " + std::to_string(number.value) +
                   " were exposed by growth";
    }
    return {};
}

std::string remove(volume::Volume &volume, const std::string &path, const Dump &dump) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const InodeNumber directory{dump.names.at(parent)};
    const DumpFile &file = dump.files.at(dump.names.at(path));
    const auto removed = file.attributes.is_directory()
                             ? volume.remove_directory(caller(), directory, name)
                             : volume.unlink(caller(), directory, name);
    return text_of(removed, "deleting \"" + path + "\" after recovery");
}

// Blocks that one new file can get, its metadata included: its number decides where in the tree it
// comes in, and so how many nodes it takes. Nothing is left of it.
Result<std::uint64_t> room_on(volume::Volume &volume) {
    const InodeNumber root{format::root_inode};
    const std::string name = "~room";
    DAXPIN_TRY_ASSIGN(const auto before, volume.statistics());
    const auto made =
        volume.create(caller(), root, name, {.mode = 0100600, .rdev = 0}, {.write = true});
    if (is_no_space(made))
        return 0;
    DAXPIN_TRY(made);
    const InodeNumber number = made->attributes.number;
    std::uint64_t blocks = 0;
    for (std::uint64_t step = Session::device_bytes / block_size; step > 0; step /= 2) {
        const auto allocate = [&] {
            return volume.fallocate(number, made->open.handle,
                                    volume::FallocateMode::allocate_keep_size, blocks * block_size,
                                    step * block_size);
        };
        for (auto done = allocate(); done || !is_no_space(done); done = allocate()) {
            DAXPIN_TRY(done);
            blocks += step;
        }
    }
    DAXPIN_TRY_ASSIGN(const auto full, volume.statistics());
    volume.release(number, made->open.handle);
    DAXPIN_TRY(volume.unlink(caller(), root, name));
    volume.forget(number, 1);
    if (auto text = finish(volume); !text.empty())
        return Error{Errc::io, text};
    return before.free_blocks - full.free_blocks;
}

} // namespace

std::string finish(volume::Volume &volume) {
    for (unsigned i = 0; i < background_steps_max; ++i) {
        const auto more = volume.background_step();
        if (!more)
            return text_of(more, "background step");
        if (!*more)
            return {};
    }
    return "background work that never ends";
}

std::string check_room(Session &session) {
    session.close_files();
    if (auto text = finish(session.volume()); !text.empty())
        return text;
    MediaList copies;
    for (const auto &one : session.media())
        copies.push_back(one->clone());
    test::TestEnv env;
    const auto fresh = volume::Volume::open(test::open_table(copies), env, mount_options());
    if (!fresh)
        return text_of(fresh, "a second mount of the media");
    const auto here = room_on(session.volume());
    const auto there = room_on(**fresh);
    if (!here || !there)
        return here ? text_of(there, "allocating all") : text_of(here, "allocating all");
    if (*here != *there)
        return "a volume long in use allocates " + std::to_string(*here) +
               " blocks, one mounted anew " + std::to_string(*there);
    return {};
}

std::string try_every_directory(volume::Volume &volume, const Dump &dump) {
    if (auto text = thaw(volume, dump); !text.empty())
        return text;
    for (const auto &[number, file] : dump.files) {
        auto text = file.attributes.is_directory() ? try_directory(volume, InodeNumber{number}, "")
                                                   : std::string();
        if (text.empty())
            text = try_growth(volume, file);
        if (!text.empty())
            return text;
    }
    return {};
}

std::string use_with_threads(volume::Volume &volume, const Dump &dump, unsigned threads,
                             std::uint64_t seed) {
    if (auto text = thaw(volume, dump); !text.empty())
        return text;
    std::vector<std::string> texts(threads);
    std::vector<std::function<void()>> bodies;
    for (unsigned i = 0; i < threads; ++i)
        bodies.emplace_back([&, i] {
            for (const auto &[number, file] : dump.files) {
                if (file.attributes.is_directory() && texts[i].empty())
                    texts[i] = try_directory(volume, InodeNumber{number}, std::to_string(i));
            }
        });
    test::Scheduler(seed).run(bodies);
    for (const std::string &text : texts) {
        if (!text.empty())
            return std::to_string(threads) + " threads: " + text;
    }
    return {};
}

std::string delete_everything(volume::Volume &volume, const Dump &dump) {
    if (auto text = thaw(volume, dump); !text.empty())
        return text;
    // Backwards in order of paths: children before their parents.
    for (auto it = dump.names.rbegin(); it != dump.names.rend(); ++it) {
        if (it->first.empty())
            continue;
        if (auto text = remove(volume, it->first, dump); !text.empty())
            return text;
    }
    if (auto text = finish(volume); !text.empty())
        return text;
    const auto rest = take_dump(volume);
    if (!rest)
        return text_of(rest, "dump of the emptied volume");
    return rest->files.size() == 1 ? "" : "the emptied volume is not empty";
}

Result<Space> space_after_boot(const MediaList &media, test::TestEnv &env) {
    env.set_boot(~std::uint64_t{0});
    {
        DAXPIN_TRY_ASSIGN(const auto volume,
                          volume::Volume::open(test::open_table(media), env, mount_options()));
        if (auto text = finish(*volume); !text.empty())
            return Error{Errc::io, text};
    }
    const auto report = fsck::check(test::open_table(media));
    if (!report.clean())
        return Error{Errc::corrupt, "fsck: " + (report.findings.empty() ? std::string("not clean")
                                                                        : report.findings[0].text)};
    if (report.counts.bad_blocks > 0)
        return Error{Errc::corrupt, "a block that takes data again is still listed as bad"};
    return Space{report.counts.free_blocks, report.counts.nodes};
}

std::string difference(const Space &found, const Space &expected) {
    constexpr std::uint64_t nodes_more_max = 2;
    if (found.free_blocks + found.tree_nodes == expected.free_blocks + expected.tree_nodes &&
        found.tree_nodes <= expected.tree_nodes + nodes_more_max)
        return {};
    const auto text = [](const Space &space) {
        return std::to_string(space.free_blocks) + " free blocks and " +
               std::to_string(space.tree_nodes) + " nodes";
    };
    return "the emptied volume has " + text(found) + ", " + text(expected) + " without the crash";
}

} // namespace daxpin::crash
