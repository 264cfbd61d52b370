// SPDX-License-Identifier: BSD-3-Clause
#include "crash/workloads.h"

#include "crash/access_list.h"
#include "crash/forgery.h"

#include <sys/stat.h>

namespace daxpin::crash {

using inode::XattrMode;
using volume::FallocateMode;
using volume::RenameMode;

namespace {

constexpr std::uint64_t block = block_size;
using Steps = std::vector<Operation>;

const Steps two_files{mkdir("A"), create("foo"), write("foo", 0, 5000), create("A/bar"),
                      write("A/bar", 0, 100)};
const Steps one_file{create("foo"), write("foo", 0, 3 * block)};

void add_names(std::vector<Workload> &all) {
    all.push_back({"create", {mkdir("A")}, {create("foo"), create("A/foo", 0100600)}});
    all.push_back({"mkdir", {mkdir("A")}, {mkdir("B"), mkdir("A/C")}});
    all.push_back({"mknod",
                   {},
                   {mknod("fifo", S_IFIFO | 0600), mknod("chr", S_IFCHR | 0600, 0x0103),
                    mknod("sock", S_IFSOCK | 0600), mknod("blk", S_IFBLK | 0600, 0x0700),
                    mknod("plain", S_IFREG | 0644)}});
    all.push_back(
        {"symlink", {}, {symlink("target", "short"), symlink(std::string(1500, 't'), "long")}});
    all.push_back({"symlink-unlink",
                   {symlink("target", "short"), symlink(std::string(1500, 't'), "long")},
                   {unlink("short"), unlink("long"), background()}});
    all.push_back({"link", two_files, {link("foo", "A/foo"), link("A/bar", "bar")}});
    all.push_back({"unlink", two_files, {unlink("foo"), background(), unlink("A/bar")}});
    all.push_back({"unlink-one-name",
                   {create("foo"), write("foo", 0, block), link("foo", "bar")},
                   {unlink("foo"), unlink("bar"), background()}});
    all.push_back({"unlink-empty", {create("foo")}, {unlink("foo"), background()}});
    all.push_back({"rmdir", {mkdir("A"), mkdir("A/C"), mkdir("B")}, {rmdir("A/C"), rmdir("A")}});
    all.push_back(
        {"open-unlink-release",
         one_file,
         {open("foo", "x"), unlink("foo"), write("@x", block, 5000), close("x"), background()}});
    all.push_back(
        {"unnamed-link",
         {mkdir("A")},
         {open_unnamed("A", "x"), write("@x", 0, 5000), link("@x", "A/foo"), close("x")}});
    all.push_back({"unnamed-drop",
                   {mkdir("A")},
                   {open_unnamed("A", "x"), write("@x", 0, 5000), close("x"), background()}});
    all.push_back({"long-names",
                   {},
                   {create(std::string(255, 'n')), rename(std::string(255, 'n'), "n"),
                    link("n", std::string(254, 'm'))}});
}

void add_renames(std::vector<Workload> &all) {
    const Steps directories{mkdir("A"), mkdir("A/C"), mkdir("B"), create("A/C/foo"),
                            write("A/C/foo", 0, 100)};
    all.push_back({"rename", two_files, {rename("foo", "bar"), rename("bar", "foo")}});
    all.push_back({"rename-across", two_files, {rename("foo", "A/foo"), rename("A/bar", "bar")}});
    all.push_back({"rename-over", two_files, {rename("foo", "A/bar"), background()}});
    all.push_back({"rename-over-link",
                   {create("foo"), link("foo", "bar"), create("baz"), write("baz", 0, 10)},
                   {rename("foo", "bar"), rename("baz", "bar")}});
    all.push_back({"rename-directory", directories, {rename("A/C", "B/C"), rename("A", "B/A")}});
    all.push_back({"rename-over-directory", directories, {rename("A/C", "B")}});
    all.push_back({"rename-no-replace",
                   two_files,
                   {rename("foo", "A/bar", RenameMode::no_replace),
                    rename("foo", "A/foo", RenameMode::no_replace)}});
    all.push_back({"rename-exchange", two_files, {rename("foo", "A/bar", RenameMode::exchange)}});
    all.push_back({"rename-exchange-directory",
                   {mkdir("A"), mkdir("A/C"), mkdir("B"), create("B/foo")},
                   {rename("A/C", "B/foo", RenameMode::exchange),
                    rename("B/foo", "A/C", RenameMode::exchange)}});
    all.push_back({"rename-whiteout", two_files, {rename("foo", "A/x", RenameMode::whiteout)}});
    all.push_back({"rename-open-target",
                   two_files,
                   {open("A/bar", "x"), rename("foo", "A/bar"), close("x"), background()}});
}

void add_writes(std::vector<Workload> &all) {
    all.push_back({"write-new", {create("foo")}, {write("foo", 0, block)}});
    all.push_back({"write-new-unaligned", {create("foo")}, {write("foo", 7, 4090)}});
    all.push_back({"write-in-place", one_file, {write("foo", block, block)}});
    for (const std::uint64_t offset : {0, 1, 7, 8, 63, 64, 4095, 4096}) {
        all.push_back(
            {"write-in-place-" + std::to_string(offset),
             one_file,
             {write("foo", offset, 1), write("foo", offset, 65), write("foo", offset, 4097)}});
    }
    all.push_back({"write-hole",
                   {create("foo"), write("foo", 4 * block, 100)},
                   {write("foo", block, 100), write("foo", 2 * block + 3000, 3000)}});
    all.push_back({"write-beyond-end", one_file, {write("foo", 6 * block + 5, 10)}});
    all.push_back(
        {"write-second-descriptor",
         one_file,
         {open("foo", "x"), write("foo", 2 * block, 2 * block), write("@x", 100, 3 * block),
          truncate("foo", 5000), write("@x", 6000, 10), close("x")}});
    all.push_back({"append",
                   {create("foo")},
                   {append("foo", 10), append("foo", block), append("foo", 3000)}});
    all.push_back({"write-large", {create("foo")}, {write("foo", 0, 16 * block)}});
    all.push_back({"write-over-end", one_file, {write("foo", 3 * block - 10, 5000)}});
    all.push_back({"copy",
                   {create("foo"), write("foo", 0, 3 * block), create("bar")},
                   {copy("foo", 0, "bar", 0, 3 * block), copy("foo", 100, "bar", 5000, 5000)}});
    all.push_back({"copy-in-file", one_file, {copy("foo", 0, "foo", 2 * block, block)}});
}

void add_sizes(std::vector<Workload> &all) {
    all.push_back(
        {"truncate-down",
         one_file,
         {truncate("foo", 2 * block), truncate("foo", 5000), truncate("foo", 0), background()}});
    all.push_back({"truncate-up",
                   {create("foo"), write("foo", 0, 100)},
                   {truncate("foo", 200), truncate("foo", 3 * block + 1)}});
    all.push_back({"truncate-down-up",
                   one_file,
                   {truncate("foo", 5000), truncate("foo", 2 * block), write("foo", 6000, 10)}});
    // Bytes that a truncation zeroes become data again: replaying must not touch them.
    all.push_back({"truncate-then-write",
                   one_file,
                   {truncate("foo", 4000), write("foo", 4000, 96), write("foo", 0, 64)}});
    all.push_back(
        {"open-truncate", one_file, {open_truncate("foo"), background(), write("foo", 0, 10)}});
    all.push_back({"truncate-many-extents",
                   {create("foo"), write("foo", 0, 10), write("foo", 2 * block, 10),
                    write("foo", 4 * block, 10), write("foo", 6 * block, 10),
                    write("foo", 8 * block, 10), write("foo", 10 * block, 10)},
                   {truncate("foo", 3 * block), background(), truncate("foo", 7 * block)}});
    const auto fall = [&](const char *name, FallocateMode mode) {
        all.push_back({std::string("fallocate-") + name,
                       {create("foo"), write("foo", 0, 2 * block), write("foo", 3 * block, 100)},
                       {fallocate("foo", mode, 200, 2 * block), // a whole block, and two edges
                        fallocate("foo", mode, 100, block), fallocate("foo", mode, block, block),
                        fallocate("foo", mode, 2 * block, 3 * block), write("foo", 5000, 10000)}});
    };
    fall("allocate", FallocateMode::allocate);
    fall("keep-size", FallocateMode::allocate_keep_size);
    fall("punch", FallocateMode::punch);
    fall("zero", FallocateMode::zero);
    fall("zero-keep-size", FallocateMode::zero_keep_size);
}

void add_attributes(std::vector<Workload> &all) {
    all.push_back({"chmod", two_files, {chmod("foo", 04711), chmod("A", 0700)}});
    all.push_back({"chown", two_files, {chown("foo", 1000, 1001), chown("A", 5, 6)}});
    all.push_back({"utimens", two_files, {utimens("foo", 1, 2), utimens("A", ~0ULL, 5)}});
    all.push_back({"flags",
                   two_files,
                   {set_flags("foo", format::inode_flag_nodump, block),
                    set_flags("A", format::inode_flag_dax, 2 * block), create("A/new"),
                    set_flags("foo", 0)}});
    all.push_back({"xattr",
                   one_file,
                   {set_xattr("foo", "user.a", 10), set_xattr("foo", "user.b", 900),
                    set_xattr("foo", "user.a", 20, XattrMode::replace),
                    set_xattr("foo", "user.a", 5, XattrMode::create), remove_xattr("foo", "user.a"),
                    remove_xattr("foo", "user.a")}});
    all.push_back({"xattr-large",
                   one_file,
                   {set_xattr("foo", "user.big", 9000), set_xattr("foo", "user.big", 5000),
                    set_xattr("foo", "user.big", 10), set_xattr("foo", "user.big", 6000),
                    remove_xattr("foo", "user.big")}});
    all.push_back(
        {"xattr-unlink",
         {create("foo"), set_xattr("foo", "user.big", 9000), set_xattr("foo", "user.small", 10)},
         {unlink("foo"), background()}});
    const Steps listed{create("foo"), mkdir("A"), set_list("A", default_list, 076543)};
    all.push_back({"access-list",
                   listed,
                   {set_list("foo", access_list, 064740), chmod("foo", 04600),
                    set_list("foo", access_list, 077777), remove_xattr("foo", access_list)}});
    all.push_back({"default-list",
                   listed,
                   {create("A/new", 0100660), mkdir("A/C"), symlink("t", "A/link"),
                    open_unnamed("A", "x"), link("@x", "A/C/named"), close("x"),
                    remove_xattr("A", default_list), create("A/plain")}});
    all.push_back({"xattr-directory", {mkdir("A")}, {set_xattr("A", "user.d", 100), rmdir("A")}});
}

void add_pins(std::vector<Workload> &all) {
    all.push_back({"pin", one_file, {pin("foo", 0, 0, false), unpin("foo", 0, 0)}});
    all.push_back({"pin-range",
                   one_file,
                   {pin("foo", 0, block, false), pin("foo", 2 * block, block, false),
                    pin("foo", block, block, false), unpin("foo", block, block)}});
    all.push_back({"pin-prepare",
                   {create("foo"), write("foo", block, 100), truncate("foo", 4 * block)},
                   {pin("foo", 0, 0, true)}});
    all.push_back({"pin-prepare-move",
                   {create("foo"), write("foo", 0, block), create("bar"), write("bar", 0, block),
                    write("foo", block, block)},
                   {pin("foo", 0, 0, true, 2 * block)}});
    all.push_back({"pin-refuses",
                   {create("foo"), write("foo", 0, block), pin("foo", 0, 0, false)},
                   {truncate("foo", 10), open_truncate("foo"), unlink("foo"),
                    write("foo", 100, 100), link("foo", "bar"), unlink("foo"), rename("bar", "baz"),
                    unpin("baz", 0, 0), unlink("baz")}});
    all.push_back({"extend",
                   {create("foo"), write("foo", 0, block), pin("foo", 0, 0, false)},
                   {extend("foo", 3 * block), write("foo", 2 * block, 100)}});
    all.push_back({"lease-unlink",
                   one_file,
                   {open("foo", "x"), lease("x", false), unlink("foo"), close("x"), background()}});
    all.push_back({"mapped-write",
                   one_file,
                   {pin("foo", 0, 0, false), open("foo", "x"), lease("x", true),
                    mapped_write("@x", 100, 5000), close("x")}});
    all.push_back({"lease-truncate",
                   one_file,
                   {open("foo", "x"), lease("x", false), truncate("foo", block),
                    write("foo", block, 2 * block), close("x")}});
}

// What is known to be zero goes to who asks for zeros, at every moment of its life.
void add_prezeroed(std::vector<Workload> &all) {
    const Steps sparse{create("foo"), write("foo", block, 100), truncate("foo", 4 * block)};
    all.push_back({"prezero-prepare", sparse, {prezero(), pin("foo", 0, 0, true)}});
    all.push_back({"prezero-prepare-move",
                   {create("foo"), write("foo", 0, block), create("bar"), write("bar", 0, block),
                    write("foo", 2 * block, 100)},
                   {prezero(), pin("foo", 0, 0, true, 2 * block)}});
    all.push_back({"prezero-extend",
                   {create("foo"), write("foo", 0, block), pin("foo", 0, 0, false)},
                   {prezero(), extend("foo", 3 * block), write("foo", 2 * block, 100)}});
    all.push_back({"prezero-reuse",
                   {create("foo"), truncate("foo", 160 * block), create("bar")},
                   {prezero(), write("bar", 0, 100 * block), unlink("bar"), checkpoint(),
                    pin("foo", 0, 0, true)},
                   {},
                   true});
    all.push_back({"prezero-again",
                   {create("foo"), truncate("foo", 160 * block), create("bar"), prezero(),
                    write("bar", 0, 100 * block)},
                   {unlink("bar"), prezero(), pin("foo", 0, 0, true)},
                   {},
                   true});
    all.push_back({"prezero-lease",
                   one_file,
                   {open("foo", "x"), lease("x", false), truncate("foo", 0), prezero(), close("x"),
                    background(), prezero()}});
}

// Blocks leave their file while somebody may map them; the lease ends, the daemon, or the boot.
void add_quarantine(std::vector<Workload> &all) {
    const auto leased = [](std::string path, const Steps &rest) {
        Steps steps{open(std::move(path), "x"), lease("x", false)};
        steps.insert(steps.end(), rest.begin(), rest.end());
        return steps;
    };
    all.push_back({"quarantine-truncate", one_file,
                   leased("foo", {truncate("foo", block), release("x"), truncate("foo", 0)})});
    all.push_back({"quarantine-punch", one_file,
                   leased("foo", {fallocate("foo", FallocateMode::punch, block, block),
                                  open_truncate("foo"), close("x")})});
    all.push_back({"quarantine-rename", two_files,
                   leased("A/bar", {rename("foo", "A/bar"), close("x"), background()})});
    all.push_back({"quarantine-two", one_file,
                   leased("foo", {open("foo", "y"), lease("y", false), truncate("foo", block),
                                  release("x"), write("foo", block, block), release("y")})});
    all.push_back({"quarantine-kill", one_file,
                   leased("foo", {truncate("foo", block), kill(), truncate("foo", 0), background(),
                                  unlink("foo"), reboot(), background(), background()})});
    all.push_back({"quarantine-kill-unlink", one_file,
                   leased("foo", {unlink("foo"), kill(), background(), background(), create("bar"),
                                  write("bar", 0, 2 * block), reboot(), background()})});
    all.push_back({"quarantine-proof", one_file,
                   leased("foo", {truncate("foo", block), kill(), truncate("foo", 0), unlink("foo"),
                                  background(), prove_absence(), background(), create("bar"),
                                  write("bar", 0, 2 * block)})});
    // Marked by a daemon that is no more.
    const Steps marked{create("foo"),
                       write("foo", 0, block),
                       create("bar"),
                       write("bar", 0, 100),
                       write("foo", block, block),
                       open("foo", "x"),
                       lease("x", false),
                       kill()};
    all.push_back({"quarantine-marked",
                   marked,
                   {truncate("foo", block), rename("bar", "foo"), background(), background()}});
    all.push_back({"quarantine-prepare", marked, {pin("foo", 0, 0, true, 2 * block)}});
}

void add_housekeeping(std::vector<Workload> &all) {
    all.push_back({"checkpoint", two_files, {chmod("foo", 0600), checkpoint(), chmod("A", 0700)}});
    all.push_back({"background", two_files, {unlink("foo"), background(), background()}});
    all.push_back({"remount", two_files, {chmod("foo", 0600), remount(), chmod("foo", 0644)}});
    all.push_back(
        {"reuse",
         {create("foo"), write("foo", 0, 4 * block)},
         {unlink("foo"), background(), checkpoint(), create("bar"), write("bar", 0, 4 * block)}});
    // Leaves merge; records of before still name the node that goes.
    Steps pads;
    Steps merge;
    for (const char *name : {"pad-0", "pad-1", "pad-2", "pad-3", "pad-4", "pad-5"}) {
        pads.push_back(create(name));
        pads.push_back(set_xattr(name, "user.pad", format::blob_inline_max));
        merge.push_back(unlink(name));
    }
    merge.insert(merge.end(), {background(), create("foo"), write("foo", 0, 2 * block),
                               write("foo", 2 * block, 2 * block), write("foo", 4 * block, block)});
    all.push_back({"reuse-node", pads, merge});
    all.push_back({"reuse-as-metadata",
                   {create("foo"), set_xattr("foo", "user.big", 9000), create("bar")},
                   {remove_xattr("foo", "user.big"), checkpoint(), write("bar", 0, 4 * block),
                    set_xattr("foo", "user.other", 5000)}});
}

// User bytes that look like records are no records, wherever they stand.
void add_forgeries(std::vector<Workload> &all) {
    const std::uint64_t in_item = format::blob_inline_max;
    const Steps changes{chmod("foo", 0600), checkpoint(), chmod("foo", 0644)};
    const auto add = [&](const char *name, Steps steps) {
        steps.insert(steps.end(), changes.begin(), changes.end());
        all.push_back({std::string("forged-") + name, one_file, std::move(steps)});
    };
    add("torn", {forged(Forgery::this_lap, set_xattr("foo", "user.forged", in_item))});
    add("stale-seat",
        {forged(Forgery::next_lap, set_xattr("foo", "user.forged", in_item)), checkpoint()});
    add("data", {forged(Forgery::true_epoch, write("foo", 0, 2 * block))});
    add("value", {forged(Forgery::true_epoch, set_xattr("foo", "user.forged", 2 * block))});
}

std::vector<Workload> all_workloads() {
    std::vector<Workload> all{{format_workload, {}, {}}};
    add_names(all);
    add_renames(all);
    add_writes(all);
    add_sizes(all);
    add_attributes(all);
    add_pins(all);
    add_prezeroed(all);
    add_quarantine(all);
    add_housekeeping(all);
    add_forgeries(all);
    return all;
}

} // namespace

const std::vector<Workload> &workloads() {
    static const std::vector<Workload> all = all_workloads();
    return all;
}

} // namespace daxpin::crash
