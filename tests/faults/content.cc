// SPDX-License-Identifier: BSD-3-Clause
#include "faults/content.h"

namespace daxpin::faults {

using crash::Operation;
using volume::FallocateMode;

namespace {

std::vector<Operation> shapes_of_files() {
    return {
        crash::mkdir("A"),
        crash::mkdir("A/C"),
        crash::mkdir("B"),
        crash::write("written", 0, 9000),
        crash::write("holes", 0, 100),
        crash::write("holes", 20000, 5000),
        crash::write("fragments", 0, 4096),
        crash::write("A/between", 0, 4096),
        crash::write("fragments", 4096, 4096),
        crash::write("A/between", 4096, 4096),
        crash::write("fragments", 12288, 100),
        crash::fallocate("A/unwritten", FallocateMode::allocate, 0, 16384),
        crash::fallocate("A/beyond", FallocateMode::allocate_keep_size, 0, 8192),
        crash::write("A/to be removed", 0, 20000),
        crash::write("to be cut", 0, 16384),
    };
}

std::vector<Operation> everything_else() {
    std::vector<Operation> all{
        crash::link("written", "A/C/again"),
        crash::symlink("written", "short"),
        crash::symlink(std::string(3000, 'x'), "A/long"),
        crash::mknod("A/fifo", 010644),
        crash::mknod("A/device", 020600, 0x0107),
        crash::set_xattr("written", "user.small", 20),
        crash::set_xattr("written", "user.large", 9000),
        crash::set_xattr("A", "user.directory", 700),
        crash::set_xattr("A/long", "trusted.link", 300),
        crash::set_xattr("to be cut", "user.large", 5000),
        crash::set_list("B", "system.posix_acl_default", 75575),
        crash::write("A/C/pinned", 0, 8192),
        crash::pin("A/C/pinned", 0, 0, true),
        crash::write("A/C/part", 0, 8192),
        crash::pin("A/C/part", 0, 4096, true),
        crash::chmod("holes", 04711),
        crash::chown("fragments", 1000, 1001),
        crash::utimens("B", 1'000'000'000, 2'000'000'000),
    };
    for (unsigned i = 0; i < 8; ++i) {
        const std::string path = "B/file " + std::to_string(i) + std::string(i * 8, '.');
        all.push_back(crash::write(path, 0, 10 + i));
        all.push_back(crash::set_xattr(path, "user.filler", 400 + 80 * i));
    }
    // Names in one leaf, what they lead to in another.
    all.push_back(crash::mkdir("last"));
    all.push_back(crash::link("written", "last/third name"));
    all.push_back(crash::rename("A/device", "last/device"));
    return all;
}

std::vector<Operation> deletions() {
    return {
        crash::unlink("A/to be removed"),
        crash::truncate("to be cut", 4000),
        crash::remove_xattr("to be cut", "user.large"),
        crash::background(),
    };
}

std::vector<Operation> changes() {
    return {
        crash::write("A/in freed blocks", 0, 30000),
        crash::set_xattr("A/in freed blocks", "user.large", 5000),
        crash::rename("B/file 7" + std::string(56, '.'), "A/C/file 7"),
        crash::set_xattr("B/file 1" + std::string(8, '.'), "user.filler", 30),
        crash::chmod("A/fifo", 0600),
    };
}

} // namespace

std::vector<Chapter> content() {
    return {
        {"before anything was made", false, shapes_of_files()},
        {"before attributes and links were made", false, everything_else()},
        {"before the deletions", false, deletions()},
        {"before the last changes", true, changes()},
    };
}

std::vector<Chapter> last_operations() {
    return {
        {"before the crash",
         true,
         {
             crash::rename("B/file 0", "A/C/moved"),
             crash::write("A/C/late", 0, 6000),
             crash::set_xattr("A/C/late", "user.late", 2000),
         }},
        {"shortly before the crash",
         false,
         {
             crash::open("A/between", "gone"),
             crash::unlink("A/between"), // open: the removal is left to the next mount
             crash::truncate("holes", 300),
             crash::chmod("short", 0777),
             crash::mkdir("A/new"),
         }},
    };
}

} // namespace daxpin::faults
