// SPDX-License-Identifier: BSD-3-Clause
//
// What scale-bench measures on: a volume of empty files in a sparse file, and the list of what is
// in it. Operations go the way they come from the kernel, through Volume.
#pragma once

#include "base/unique_fd.h"
#include "must.h"
#include "volume/volume.h"

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace daxpin::scale {

using bench::fail;
using bench::must;

// The files that exist, each a number that gives its name and its directory. The same calls choose
// the same files, so that a process can follow what its child did.
class Files {
  public:
    Files(std::uint32_t count, bool many);

    std::size_t count() const { return alive_.size(); }
    std::size_t directories() const { return directories_; }
    std::size_t directory_of(std::uint32_t number) const;
    std::uint32_t pick(); // some file, at random
    std::uint32_t add();  // a new one
    std::uint32_t take(); // some file, which is gone then

  private:
    std::size_t at_random();

    std::uint32_t first_; // so many there were at first, in order
    std::uint32_t next_;
    std::size_t directories_;
    std::vector<std::uint32_t> alive_;
    std::mt19937_64 random_{1};
};

constexpr std::uint32_t files_per_directory = 1000;

// One volume, open or closed.
class Stage {
  public:
    // In a nameless file in `folder`, or in a new one named `kept_at`, which stays. many:
    // files_per_directory in each directory; else all in the root. Empty and closed then.
    Stage(const std::string &folder, const std::string &kept_at, std::uint64_t bytes,
          std::uint64_t journal_bytes, std::uint32_t count, bool many);

    void make_files(); // REQUIRES: open
    // Files of so many bytes until the volume is full; how many there are. REQUIRES: open, empty.
    std::uint64_t fill(std::size_t file_bytes);
    std::uint64_t used_blocks(); // of the whole device

    double open(); // milliseconds: devices, recovery, all that a mount waits for
    void close();  // in order
    volume::Volume &volume() { return *volume_; }

    Files &files() { return files_; }
    const std::string &path() const { return path_; }

    // As the kernel does before it works in them; until close().
    void look_up_directories();

    // Where a file is, made ready so that it is not timed.
    struct Place {
        InodeNumber directory;
        std::string name;
    };
    std::vector<Place> places(std::size_t count, std::uint32_t (Files::*choose)());
    InodeNumber create(const Place &place);
    void look_up(const Place &place);
    void remove(const Place &place); // lookup, unlink and the forget that ends the inode
    std::size_t list();              // every directory, from its start to its end
    void housekeep();                // what the daemon's thread does now and then

  private:
    Place place(std::uint32_t number) const;
    void make_directories();

    UniqueFd fd_; // keeps the file
    std::string path_;
    std::uint64_t bytes_;
    Files files_;
    bool many_;
    std::vector<InodeNumber> directories_;
    std::unique_ptr<volume::Volume> volume_;
};

} // namespace daxpin::scale
