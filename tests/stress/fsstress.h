// SPDX-License-Identifier: BSD-3-Clause
//
// fsstress: one process of several that work at random in one directory tree.
//
// Everything in every regular file is words of 8 bytes at multiples of 8, each zero or made by
// make_word() for the inode it was written to. A word that is neither is garbage: torn, or never
// written. On an even seed no data is copied between files, so a word must name the inode it is
// found in; on an odd seed it may come from another one.
#pragma once

#include "random.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

namespace stress {

constexpr std::size_t action_count_max = 40;
constexpr std::uint64_t file_size_max = 256 << 10;

// In memory shared by all processes.
struct Tally {
    struct Action {
        std::atomic<std::uint64_t> done;
        std::atomic<std::uint64_t> refused; // by a race, or because something is not there
        std::atomic<std::uint64_t> unsupported;
    };
    std::array<Action, action_count_max> actions;
};

// What must not be: an errno that no race explains, or data that nobody wrote.
struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string format(const char *text, ...) __attribute__((format(printf, 1, 2)));

std::uint64_t make_word(ino_t inode, std::uint32_t salt);
bool is_valid_word(std::uint64_t word);
bool names_inode(std::uint64_t word, ino_t inode);

class Actor;
struct Action {
    const char *name;
    unsigned weight;
    int (Actor::*perform)(); // 0 or an errno
    std::vector<int> allowed;
};
std::span<const Action> actions();

class Actor {
  public:
    // Works in the current directory, which is the root of the tree.
    Actor(std::uint64_t seed, unsigned process, Tally &tally, bool verbose);
    ~Actor();
    Actor(const Actor &) = delete;
    Actor &operator=(const Actor &) = delete;

    // ERRORS: Violation, with the last operations in its text.
    void run(std::uint64_t operations);

    // fsstress_names.cc
    int create();
    int make_directory();
    int make_node();
    int make_symlink();
    int make_link();
    int rename_any();
    int rename_exchange();
    int rename_noreplace();
    int rename_whiteout();
    int remove_file();
    int remove_directory();
    int read_link();
    int list_directory();
    int change_mode();
    int change_owner();
    int change_times();
    int set_attribute();
    int remove_attribute();
    int list_attributes();
    int stat_any();

    // fsstress_data.cc
    int write_data();
    int append_data();
    int read_data();
    int truncate_file();
    int allocate();
    int punch();
    int zero_range();
    int copy_range();
    int sync_file();
    int map_file();
    int seek_file();
    int unlinked_file();
    int nameless_file();
    int hold_file();

  private:
    // A regular file that is open, and its inode.
    struct File {
        int descriptor = -1;
        ino_t inode = 0;
        bool held = false;
    };

    void step(std::uint64_t number);
    const Action &choose();
    void note(const std::string &text) { what_ += " " + text; }

    std::string folder();
    std::string file_name();
    std::string name(); // both noted
    std::string link_target();
    int rename_with(unsigned flags);
    void check_words(const File &file, std::uint64_t offset, std::span<const std::uint64_t> words);
    std::span<const std::uint64_t> fresh_words(const File &file, std::uint64_t count);
    std::uint64_t aligned_offset();
    std::uint64_t aligned_length();
    int open_regular(File &file, int flags);
    int fallocate_with(int mode);
    void close_file(const File &file);
    int own_file(int descriptor);

    Random random_;
    unsigned process_;
    bool own_data_only_; // the seed is even
    Tally &tally_;
    bool verbose_;
    std::string what_;
    std::deque<std::string> log_;
    std::array<File, 4> held_;
    std::vector<std::uint64_t> words_;
};

// fsstress_check.cc. Both expect that nobody else is at work in the tree.
// Names, types, link counts, words of the tree at the path; the number of entries.
// ERRORS: Violation.
std::uint64_t check_tree(const std::string &path, bool own_data_only);
// Removes the tree; nothing of it may refuse. ERRORS: Violation.
void remove_tree(const std::string &path);

} // namespace stress
